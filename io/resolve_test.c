/* SPDX-License-Identifier: MIT */
/* Look-ups of what any machine knows without asking another, and of what a
 * resolver that never answers would say. */
#include "weft/io/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "weft/io/address.h"
#include "weft/io/testing.h"

typedef int asker(const char *host, const char *service,
                  const struct addrinfo *hints, struct addrinfo **found);

/* What getaddrinfo() is while a test runs; see :resolve_wrapped. */
asker __real_getaddrinfo;
asker __wrap_getaddrinfo;
static asker *resolver = __real_getaddrinfo;

int __wrap_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **found) {
    return resolver(host, service, hints, found);
}

static void is(const struct sockaddr_storage *address, const char *text) {
    char got[WEFT_ADDRESS_TEXT];
    weft_address_format(address, got, sizeof(got));
    if (strcmp(got, text) != 0) {
        weft_fatal("%s came, not %s", got, text);
    }
}

IO_TEST(numbers_are_what_they_say) {
    struct sockaddr_storage found[2];
    EXPECT(weft_resolve("127.0.0.1", "8080", found, 2, soon()), 1);
    is(&found[0], "127.0.0.1:8080");
    EXPECT(weft_resolve("::1", "80", found, 2, soon()), 1);
    is(&found[0], "[::1]:80");
    EXPECT(weft_resolve("10.1.2.3", NULL, found, 2, soon()), 1);
    is(&found[0], "10.1.2.3:0");
    WEFT_CHECK_OP(weft_resolve(NULL, "7", found, 2, soon()), >=, 1);
}

IO_TEST(what_was_found_can_be_reached) {
    char address[64], service[16];
    struct sockaddr_storage found;
    int listener = listen_somewhere(address);
    snprintf(service, sizeof(service), "%d", weft_local_port(listener));
    EXPECT(weft_resolve("127.0.0.1", service, &found, 1, soon()), 1);
    is(&found, address);
    EXPECT(weft_close(listener), 0);
}

IO_TEST(what_cannot_be_is_an_error) {
    struct sockaddr_storage found;
    EXPECT(weft_resolve(NULL, NULL, &found, 1, soon()), -EINVAL);
    EXPECT(weft_resolve("127.0.0.1", "80", &found, 0, soon()), -EINVAL);
    EXPECT(weft_resolve("127.0.0.1", "no such service", &found, 1, soon()),
           -EINVAL);
}

static void who_is_no_task_is_told_so(void **state) {
    struct sockaddr_storage found;
    assert_int_equal(weft_resolve("127.0.0.1", "80", &found, 1, WEFT_FOREVER),
                     -EPERM);
}

/* A resolver that takes until `answer_now` is posted. */
static sem_t asked;
static sem_t answer_now;
static _Atomic int answered;

static int ask_slowly(const char *host, const char *service,
                      const struct addrinfo *hints, struct addrinfo **found) {
    sem_post(&asked);
    while (sem_wait(&answer_now) != 0) {
    }
    /* The names are there, though who asked may have gone. */
    int result = __real_getaddrinfo(host, service, hints, found);
    atomic_fetch_add_explicit(&answered, 1, memory_order_relaxed);
    return result;
}

static void *look_up(void *arg) {
    struct sockaddr_storage found;
    char host[] = "127.0.0.1";
    uint64_t deadline = arg == NULL ? soon() : weft_now() + 2 * WEFT_MS;
    int count = weft_resolve(host, "80", &found, 1, deadline);
    memset(host, 'x', sizeof(host));
    return (void *)(long)count;
}

static void await_asked(void) {
    while (sem_trywait(&asked) != 0) {
        weft_yield();
    }
}

IO_TEST(a_slow_answer_is_not_waited_for_past_the_deadline_or_a_cancel) {
    EXPECT((long)look_up("brief"), -ETIMEDOUT);
    struct weft_task *task = start(look_up, NULL);
    await_asked(); /* the first */
    await_asked(); /* the second */
    EXPECT(weft_cancel(task), 0);
    EXPECT(finish(task), -ECANCELED);
    /* And one that is patient gets it. */
    task = start(look_up, NULL);
    await_asked();
    for (int i = 0; i < 3; i++) {
        sem_post(&answer_now);
    }
    EXPECT(finish(task), 1);
    /* The others end by themselves, with nobody there. */
    while (atomic_load_explicit(&answered, memory_order_relaxed) < 3) {
        weft_yield();
    }
}

static void slow_answers(void **state) {
    sem_init(&asked, 0, 0);
    sem_init(&answer_now, 0, 0);
    resolver = ask_slowly;
    a_slow_answer_is_not_waited_for_past_the_deadline_or_a_cancel(state);
    resolver = __real_getaddrinfo;
}

static int answer_code;

static int refuse(const char *host, const char *service,
                  const struct addrinfo *hints, struct addrinfo **found) {
    errno = EMFILE;
    return answer_code;
}

IO_TEST(each_answer_has_its_errno_in_a_task) {
    static const struct {
        int code;
        int error;
    } table[] = {
        {EAI_NONAME, -ENOENT}, {EAI_AGAIN, -EAGAIN},   {EAI_FAIL, -EIO},
        {EAI_MEMORY, -ENOMEM}, {EAI_SERVICE, -EINVAL}, {EAI_SYSTEM, -EMFILE},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct sockaddr_storage found;
        answer_code = table[i].code;
        EXPECT(weft_resolve("name", "80", &found, 1, soon()), table[i].error);
    }
}

static void each_answer_has_its_errno(void **state) {
    resolver = refuse;
    each_answer_has_its_errno_in_a_task(state);
    resolver = __real_getaddrinfo;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_what_they_say),
        cmocka_unit_test(what_was_found_can_be_reached),
        cmocka_unit_test(what_cannot_be_is_an_error),
        cmocka_unit_test(who_is_no_task_is_told_so),
        cmocka_unit_test(slow_answers),
        cmocka_unit_test(each_answer_has_its_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
