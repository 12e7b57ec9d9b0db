/* SPDX-License-Identifier: MIT */
/* Flags, their twins in the environment, and what is said about wrong ones. */
#include "weft/demo_http/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *env_name;
static const char *env_value;

static char *env(const char *name) {
    return env_name != NULL && strcmp(name, env_name) == 0 ? (char *)env_value
                                                           : NULL;
}

static struct http_options o;
static char error[512];

/* Up to four arguments. */
static enum http_options_answer parse(const char *a, const char *b,
                                      const char *c, const char *d) {
    const char *argv[6] = {"demo_http", a, b, c, d, NULL};
    int argc = 1;
    while (argv[argc] != NULL) {
        argc++;
    }
    error[0] = '\0';
    return http_options_parse(&o, argc, (char *const *)argv, env, error,
                              sizeof(error));
}

static void without_flags_the_defaults_hold(void **state) {
    env_name = NULL;
    assert_int_equal(parse(NULL, NULL, NULL, NULL), HTTP_OPTIONS_RUN);
    assert_string_equal(o.listen, "127.0.0.1:8080");
    assert_null(o.preempt);
    assert_null(o.poller);
    assert_int_equal(o.workers, 0);
    assert_int_equal(o.quantum, 10000000);
    assert_int_equal(o.max_header, 16384);
    assert_int_equal(o.max_body, 1 << 20);
    assert_int_equal(o.max_connections, 10000);
    assert_true(o.read_timeout == 10000000000ULL);
    assert_false(o.access_log);
}

static void flags_take_their_value_after_a_space_or_an_equals_sign(
    void **state) {
    env_name = NULL;
    assert_int_equal(
        parse("--listen", "[::1]:0", "--quantum=500us", "--access-log"),
        HTTP_OPTIONS_RUN);
    assert_string_equal(o.listen, "[::1]:0");
    assert_int_equal(o.quantum, 500000);
    assert_true(o.access_log);
    assert_int_equal(
        parse("--access-log=off", "--max-body=2M", "--workers", "3"),
        HTTP_OPTIONS_RUN);
    assert_false(o.access_log);
    assert_int_equal(o.max_body, 2 << 20);
    assert_int_equal(o.workers, 3);
    assert_int_equal(parse("--preempt", "off", "--preempt", "cooperative"),
                     HTTP_OPTIONS_RUN);
    assert_string_equal(o.preempt, "cooperative");
    assert_int_equal(parse("--poller", "epoll", "--poller=uring", NULL),
                     HTTP_OPTIONS_RUN);
    assert_string_equal(o.poller, "uring");
    assert_int_equal(parse("--idle-timeout=2h", "--read-timeout", "90s", NULL),
                     HTTP_OPTIONS_RUN);
    assert_true(o.idle_timeout == 7200ULL * 1000000000);
    assert_true(o.read_timeout == 90ULL * 1000000000);
}

static void each_flag_has_a_twin_in_the_environment(void **state) {
    static const char *const kTwins[][2] = {
        {"LISTEN", "0.0.0.0:1"}, {"WORKERS", "2"},
        {"QUANTUM", "1ms"},      {"PREEMPT", "off"},
        {"POLLER", "epoll"},     {"MAX_CONNECTIONS", "5"},
        {"MAX_HEADER", "200"},   {"MAX_BODY", "7"},
        {"READ_TIMEOUT", "3s"},  {"IDLE_TIMEOUT", "4s"},
        {"WRITE_TIMEOUT", "5s"}, {"DRAIN_TIMEOUT", "6s"},
        {"ACCESS_LOG", "1"},
    };
    for (size_t i = 0; i < sizeof(kTwins) / sizeof(kTwins[0]); i++) {
        char name[64] = "WEFT_HTTP_";
        strcat(name, kTwins[i][0]);
        env_name = name;
        env_value = kTwins[i][1];
        struct http_options before = o;
        assert_int_equal(parse(NULL, NULL, NULL, NULL), HTTP_OPTIONS_RUN);
        assert_memory_not_equal(&before, &o, sizeof(o));
        env_value = "nonsense";
        assert_int_equal(parse(NULL, NULL, NULL, NULL), HTTP_OPTIONS_WRONG);
        assert_non_null(strstr(error, name));
        assert_non_null(strstr(error, "nonsense"));
        env_value = "";
        assert_int_equal(parse(NULL, NULL, NULL, NULL), HTTP_OPTIONS_RUN);
    }
    env_name = "WEFT_HTTP_WORKERS";
    env_value = "2";
    assert_int_equal(parse("--workers", "5", NULL, NULL), HTTP_OPTIONS_RUN);
    assert_int_equal(o.workers, 5);
}

static void what_is_wrong_is_said_in_one_line(void **state) {
    static const char *const kWrong[][2] = {
        {"--nonsense", NULL},
        {"--work", "1"},
        {"nonsense", NULL},
        {"-w", NULL},
        {"--listen", NULL},
        {"--listen", "8080"},
        {"--listen", "a:b"},
        {"--listen", "::1:80"},
        {"--listen", "1.2.3.4:65536"},
        {"--workers", "-1"},
        {"--workers", "257"},
        {"--workers", "2x"},
        {"--workers", ""},
        {"--workers", " 2"},
        {"--quantum", "10"},
        {"--quantum", "1us"},
        {"--quantum", "11s"},
        {"--quantum", "ms"},
        {"--quantum", "1.5ms"},
        {"--preempt", "yes"},
        {"--preempt", "or"},
        {"--poller", "select"},
        {"--poller", ""},
        {"--max-connections", "0"},
        {"--max-header", "1"},
        {"--max-header", "2M"},
        {"--max-body", "2G"},
        {"--max-body", "1T"},
        {"--max-body", "99999999999999999999"},
        {"--max-body", "18446744073709551615k"},
        {"--read-timeout", "0ms"},
        {"--access-log=maybe", NULL},
        {"--", NULL},
        {"--help=1", NULL},
    };
    env_name = NULL;
    for (size_t i = 0; i < sizeof(kWrong) / sizeof(kWrong[0]); i++) {
        if (parse(kWrong[i][0], kWrong[i][1], NULL, NULL) !=
            HTTP_OPTIONS_WRONG) {
            fail_msg("let in: %s %s", kWrong[i][0],
                     kWrong[i][1] != NULL ? kWrong[i][1] : "");
        }
        assert_true(strlen(error) > 10);
        assert_null(strchr(error, '\n'));
    }
    parse("--quantum", "1us", NULL, NULL);
    assert_string_equal(error,
                        "--quantum: '1us' is not a duration (like 10ms or 2s) "
                        "from 50us to 10s");
    parse("--workers", "x", NULL, NULL);
    assert_string_equal(error, "--workers: 'x' is not a number from 0 to 256");
}

static void help_names_every_flag_whatever_the_environment_says(void **state) {
    static char text[4096];
    env_name = "WEFT_HTTP_WORKERS";
    env_value = "nonsense";
    assert_int_equal(parse("--help", NULL, NULL, NULL), HTTP_OPTIONS_HELP);
    size_t n = http_options_help(text, sizeof(text));
    assert_int_equal(n, strlen(text));
    static const char *const kFlags[] = {
        "--listen ADDR:PORT", "--workers N",
        "--quantum DURATION", "--preempt",
        "--poller",           "--max-header BYTES",
        "--max-body BYTES",   "--max-connections N",
        "--read-timeout",     "--idle-timeout",
        "--write-timeout",    "--drain-timeout",
        "--access-log",       "--help"};
    for (size_t i = 0; i < sizeof(kFlags) / sizeof(kFlags[0]); i++) {
        assert_non_null(strstr(text, kFlags[i]));
    }
    assert_true(http_options_help(text, 100) < 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_flags_the_defaults_hold),
        cmocka_unit_test(
            flags_take_their_value_after_a_space_or_an_equals_sign),
        cmocka_unit_test(each_flag_has_a_twin_in_the_environment),
        cmocka_unit_test(what_is_wrong_is_said_in_one_line),
        cmocka_unit_test(help_names_every_flag_whatever_the_environment_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
