/* SPDX-License-Identifier: MIT */
/* Addresses: what is read is what is written, and nothing else is read. */
#include "weft/io/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void what_was_read_is_written_the_same(void **state) {
    static const char *const texts[] = {
        "127.0.0.1:8080",     "0.0.0.0:0", "255.255.255.255:65535",
        "[::1]:80",           "[::]:0",    "[2001:db8::ff00:42:8329]:443",
        "[::ffff:1.2.3.4]:1",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sockaddr_storage address;
        char text[WEFT_ADDRESS_TEXT];
        int size = weft_address_parse(texts[i], &address);
        assert_int_equal(size, texts[i][0] == '[' ? sizeof(struct sockaddr_in6)
                                                  : sizeof(struct sockaddr_in));
        assert_int_equal(weft_address_format(&address, text, sizeof(text)),
                         strlen(texts[i]));
        assert_string_equal(text, texts[i]);
    }
}

static void what_is_not_an_address_is_refused(void **state) {
    static const char *const texts[] = {
        "",
        "127.0.0.1",
        "127.0.0.1:",
        ":80",
        "::1:80",
        "[::1]",
        "[::1]:",
        "[::1]80",
        "[::1:80",
        "1.2.3.4:65536",
        "1.2.3.4:123456",
        "1.2.3.4: 80",
        "1.2.3.4:+8",
        "1.2.3.4:80 ",
        "1.2.3:80",
        "1.2.3.256:80",
        "host:80",
        "[1.2.3.4]:80",
        "[::1%lo]:80",
        "1.2.3.4:8o",
        "[]:1",
        "[0123456789012345678901234567890123456789012345678]:1",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sockaddr_storage address;
        if (weft_address_parse(texts[i], &address) != -EINVAL) {
            fail_msg("\"%s\" was taken for an address", texts[i]);
        }
    }
}

static void a_short_buffer_is_not_overrun(void **state) {
    struct sockaddr_storage address;
    char text[8];
    memset(text, 'x', sizeof(text));
    assert_true(weft_address_parse("127.0.0.1:8080", &address) > 0);
    weft_address_format(&address, text, 5);
    assert_string_equal(text, "127.");
    assert_int_equal(text[5], 'x');
}

static void another_family_has_no_text(void **state) {
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    char text[WEFT_ADDRESS_TEXT] = "x";
    assert_int_equal(weft_address_format(&address, text, sizeof(text)),
                     -EAFNOSUPPORT);
    assert_string_equal(text, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_is_written_the_same),
        cmocka_unit_test(what_is_not_an_address_is_refused),
        cmocka_unit_test(a_short_buffer_is_not_overrun),
        cmocka_unit_test(another_family_has_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
