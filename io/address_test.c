/* SPDX-License-Identifier: MIT */
/* Addresses: what is read is what is written, and nothing else is read. */
#include "weft/io/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

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
        assert_int_equal(weft_address_size(&address), size);
        assert_int_equal(weft_address_format(&address, text, sizeof(text)),
                         strlen(texts[i]));
        assert_string_equal(text, texts[i]);
    }
}

/* "unix:" and `length` bytes of name. */
static void unix_name(char *text, char first, int length) {
    memcpy(text, "unix:", 5);
    memset(text + 5, 'x', (size_t)length);
    text[5] = first;
    text[5 + length] = '\0';
}

static void unix_names_of_all_lengths_are_read_and_written(void **state) {
    for (int length = 1; length <= 108; length++) {
        for (int abstract = 0; abstract < 2; abstract++) {
            struct sockaddr_storage address;
            char text[WEFT_ADDRESS_TEXT];
            char back[WEFT_ADDRESS_TEXT];
            unix_name(text, abstract ? '@' : '/', length);
            int size = weft_address_parse(text, &address);
            if (length == 108 || (abstract && length == 1)) {
                assert_int_equal(size, -EINVAL);
                continue;
            }
            /* A path has its terminator with it, unix(7). */
            assert_int_equal(size, offsetof(struct sockaddr_un, sun_path) +
                                       (size_t)length + !abstract);
            assert_int_equal(weft_address_size(&address), size);
            assert_int_equal(weft_address_format(&address, back, sizeof(back)),
                             5 + length);
            assert_string_equal(back, text);
        }
    }
}

static void a_path_without_a_terminator_is_not_overrun(void **state) {
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    char text[WEFT_ADDRESS_TEXT];
    struct sockaddr_un *un = (struct sockaddr_un *)&address;
    memset(un->sun_path, 'x', sizeof(un->sun_path));
    assert_int_equal(weft_address_format(&address, text, sizeof(text)),
                     5 + 108);
    assert_int_equal(weft_address_size(&address), sizeof(*un));
}

static void a_unix_socket_may_have_no_name(void **state) {
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    char text[WEFT_ADDRESS_TEXT];
    assert_int_equal(weft_address_format(&address, text, sizeof(text)), 5);
    assert_string_equal(text, "unix:");
    assert_int_equal(weft_address_size(&address),
                     offsetof(struct sockaddr_un, sun_path));
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
        "unix:",
        "unix:@",
        "unix",
        "Unix:/x",
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
    struct sockaddr_storage address = {.ss_family = AF_NETLINK};
    char text[WEFT_ADDRESS_TEXT] = "x";
    assert_int_equal(weft_address_format(&address, text, sizeof(text)),
                     -EAFNOSUPPORT);
    assert_string_equal(text, "");
    assert_int_equal(weft_address_size(&address), -EAFNOSUPPORT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_is_written_the_same),
        cmocka_unit_test(unix_names_of_all_lengths_are_read_and_written),
        cmocka_unit_test(a_path_without_a_terminator_is_not_overrun),
        cmocka_unit_test(a_unix_socket_may_have_no_name),
        cmocka_unit_test(what_is_not_an_address_is_refused),
        cmocka_unit_test(a_short_buffer_is_not_overrun),
        cmocka_unit_test(another_family_has_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
