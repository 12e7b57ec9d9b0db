/* SPDX-License-Identifier: MIT */
/* One table says all there is about each option, so that parsing, the
 * environment and --help cannot disagree. getopt_long() was passed over: it
 * prints its own errors, takes abbreviations, and knows no environment. */
#include "weft/demo_http/options.h"

#include <stdio.h>
#include <string.h>

#include "weft/io/address.h"

enum kind { SWITCH, ADDRESS, WORD, COUNT, SIZE, DURATION };

struct option {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct http_options */
    uint64_t low, high;
    const char *value; /* the default */
    const char *help;  /* of a WORD: the words it may be, "a, b or c" */
};

#define US 1000ULL
#define MS (1000 * US)
#define S  (1000 * MS)

#define AT(field) offsetof(struct http_options, field)

static const struct option kOptions[] = {
    {"listen", ADDRESS, AT(listen), 0, 0, "127.0.0.1:8080",
     "address and port, [::1]:PORT too; port 0: any free one"},
    {"workers", COUNT, AT(workers), 0, 256, "0",
     "processors that run tasks; 0: one per CPU"},
    {"quantum", DURATION, AT(quantum), 50 * US, 10 * S, "10ms",
     "how long a task runs before others get their turn"},
    {"preempt", WORD, AT(preempt), 0, 0, NULL, "signal, cooperative or off"},
    {"poller", WORD, AT(poller), 0, 0, NULL, "epoll or uring"},
    {"max-connections", COUNT, AT(max_connections), 1, 1000000, "10000",
     "connections at a time; more are answered with 503"},
    {"max-header", SIZE, AT(max_header), 128, 1 << 20, "16k",
     "all header fields of a request; more is 431"},
    {"max-body", SIZE, AT(max_body), 0, 1 << 30, "1M",
     "body of a request; more is 413"},
    {"read-timeout", DURATION, AT(read_timeout), MS, 86400 * S, "10s",
     "for a whole request, head and body; then 408"},
    {"idle-timeout", DURATION, AT(idle_timeout), MS, 86400 * S, "60s",
     "between requests; then the connection closes"},
    {"write-timeout", DURATION, AT(write_timeout), MS, 86400 * S, "10s",
     "for each piece of a response to be taken"},
    {"drain-timeout", DURATION, AT(drain_timeout), MS, 86400 * S, "10s",
     "for running requests after SIGTERM or SIGINT"},
    {"access-log", SWITCH, AT(access_log), 0, 0, "off",
     "a line on standard output for each request"},
};

enum { OPTIONS = sizeof(kOptions) / sizeof(kOptions[0]) };

/* Digits, then whatever stands behind them. False on overflow or no digit. */
static bool read_number(const char *s, uint64_t *value, const char **rest) {
    const char *p = s;
    uint64_t n = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (n > (UINT64_MAX - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    *value = n;
    *rest = p;
    return p != s;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit kNone[] = {{"", 1}, {NULL, 0}};
static const struct unit kBytes[] = {{"", 1},        {"k", 1 << 10},
                                     {"K", 1 << 10}, {"M", 1 << 20},
                                     {"G", 1 << 30}, {NULL, 0}};
static const struct unit kTimes[] = {{"ns", 1}, {"us", US},    {"ms", MS},
                                     {"s", S},  {"m", 60 * S}, {"h", 3600 * S},
                                     {NULL, 0}};

static bool read_scaled(const char *s, const struct unit *units,
                        uint64_t *value) {
    const char *rest;
    if (!read_number(s, value, &rest)) {
        return false;
    }
    for (; units->name != NULL; units++) {
        if (strcmp(rest, units->name) == 0) {
            if (*value > UINT64_MAX / units->factor) {
                return false;
            }
            *value *= units->factor;
            return true;
        }
    }
    return false;
}

static bool read_switch(const char *s, bool *value) {
    static const char *const kWords[][2] = {
        {"off", "on"}, {"0", "1"}, {"false", "true"}, {"no", "yes"}};
    for (size_t i = 0; i < sizeof(kWords) / sizeof(kWords[0]); i++) {
        for (int on = 0; on < 2; on++) {
            if (strcmp(s, kWords[i][on]) == 0) {
                *value = on != 0;
                return true;
            }
        }
    }
    return false;
}

static bool address_is_valid(const char *s) {
    struct sockaddr_storage address;
    return weft_address_parse(s, &address) > 0;
}

/* Is `s` one of "a, b or c"? */
static bool is_one_of(const char *s, const char *words) {
    size_t length = strlen(s);
    while (*words != '\0') {
        size_t n = strcspn(words, ", ");
        if (n == length && memcmp(words, s, n) == 0) {
            return strcmp(s, "or") != 0;
        }
        words += n;
        words += strspn(words, ", ");
    }
    return false;
}

/* Sets the option in `o` from `value`; false: `value` is none of its values. */
static bool set(struct http_options *o, const struct option *option,
                const char *value) {
    void *field = (char *)o + option->offset;
    uint64_t number = 0;
    switch (option->kind) {
        case SWITCH:
            return read_switch(value, field);
        case ADDRESS:
            *(const char **)field = value;
            return address_is_valid(value);
        case WORD:
            *(const char **)field = value;
            return is_one_of(value, option->help);
        default: {
            const struct unit *units = option->kind == COUNT  ? kNone
                                       : option->kind == SIZE ? kBytes
                                                              : kTimes;
            if (!read_scaled(value, units, &number) || number < option->low ||
                number > option->high) {
                return false;
            }
            *(uint64_t *)field = number;
            return true;
        }
    }
}

/* What a value of this kind looks like, for errors and help. */
static const char *looks(enum kind kind) {
    switch (kind) {
        case SWITCH:
            return "on|off";
        case ADDRESS:
            return "ADDR:PORT";
        case WORD:
            return "WORD";
        case COUNT:
            return "N";
        case SIZE:
            return "BYTES";
        default:
            return "DURATION";
    }
}

/* A number in the unit that suits it, as it could be typed. */
static void show(char *out, size_t size, enum kind kind, uint64_t n) {
    const struct unit *units = kind == COUNT  ? kNone
                               : kind == SIZE ? kBytes
                                              : kTimes;
    const struct unit *best = units;
    for (; units->name != NULL; units++) {
        if (n != 0 && n % units->factor == 0 && units->factor > best->factor) {
            best = units;
        }
    }
    snprintf(out, size, "%llu%s", (unsigned long long)(n / best->factor),
             best->name);
}

static void twin_of(const struct option *option, char *out, size_t size) {
    snprintf(out, size, "WEFT_HTTP_%s", option->name);
    for (char *p = out; *p != '\0'; p++) {
        if (*p == '-') {
            *p = '_';
        } else if (*p >= 'a' && *p <= 'z') {
            *p = (char)(*p - 'a' + 'A');
        }
    }
}

static enum http_options_answer wrong_value(const struct option *option,
                                            const char *where,
                                            const char *value, char *error,
                                            size_t size) {
    char low[32], high[32];
    switch (option->kind) {
        case SWITCH:
            snprintf(error, size, "%s: '%.100s' is neither on nor off", where,
                     value);
            break;
        case ADDRESS:
            snprintf(error, size,
                     "%s: '%.100s' is no address like 127.0.0.1:8080 or "
                     "[::1]:8080",
                     where, value);
            break;
        case WORD:
            snprintf(error, size, "%s: '%.100s' is not %s", where, value,
                     option->help);
            break;
        default:
            show(low, sizeof(low), option->kind, option->low);
            show(high, sizeof(high), option->kind, option->high);
            snprintf(error, size, "%s: '%.100s' is not a %s from %s to %s",
                     where, value,
                     option->kind == COUNT  ? "number"
                     : option->kind == SIZE ? "size (like 4096 or 16k)"
                                            : "duration (like 10ms or 2s)",
                     low, high);
            break;
    }
    return HTTP_OPTIONS_WRONG;
}

static enum http_options_answer read_environment(struct http_options *o,
                                                 char *(*env)(const char *),
                                                 char *error, size_t size) {
    for (int i = 0; i < OPTIONS; i++) {
        char name[64];
        twin_of(&kOptions[i], name, sizeof(name));
        const char *value = env(name);
        if (value != NULL && value[0] != '\0' && !set(o, &kOptions[i], value)) {
            return wrong_value(&kOptions[i], name, value, error, size);
        }
    }
    return HTTP_OPTIONS_RUN;
}

static const struct option *find(const char *name, size_t length) {
    for (int i = 0; i < OPTIONS; i++) {
        if (strlen(kOptions[i].name) == length &&
            memcmp(kOptions[i].name, name, length) == 0) {
            return &kOptions[i];
        }
    }
    return NULL;
}

/* Reads the flag at argv[*at] and its value, and moves *at past them. */
static enum http_options_answer read_flag(struct http_options *o, int argc,
                                          char *const *argv, int *at,
                                          char *error, size_t size) {
    const char *arg = argv[(*at)++];
    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
        return HTTP_OPTIONS_HELP;
    }
    if (strncmp(arg, "--", 2) != 0) {
        snprintf(error, size, "'%.100s' is not a flag (see --help)", arg);
        return HTTP_OPTIONS_WRONG;
    }
    size_t length = strcspn(arg + 2, "=");
    const struct option *option = find(arg + 2, length);
    if (option == NULL) {
        snprintf(error, size, "there is no flag '%.100s' (see --help)", arg);
        return HTTP_OPTIONS_WRONG;
    }
    const char *value;
    if (arg[2 + length] == '=') {
        value = arg + 2 + length + 1;
    } else if (option->kind == SWITCH) {
        value = "on";
    } else if (*at < argc) {
        value = argv[(*at)++];
    } else {
        snprintf(error, size, "--%s wants a value: %s", option->name,
                 looks(option->kind));
        return HTTP_OPTIONS_WRONG;
    }
    char where[64];
    snprintf(where, sizeof(where), "--%s", option->name);
    return set(o, option, value)
               ? HTTP_OPTIONS_RUN
               : wrong_value(option, where, value, error, size);
}

enum http_options_answer http_options_parse(struct http_options *options,
                                            int argc, char *const *argv,
                                            char *(*env)(const char *),
                                            char *error, size_t size) {
    *options = (struct http_options){0};
    for (int i = 0; i < OPTIONS; i++) {
        if (kOptions[i].value != NULL) {
            set(options, &kOptions[i], kOptions[i].value);
        }
    }
    /* The flags first, for --help must work whatever the environment says;
     * then once more, for they go before it. */
    enum http_options_answer answer = HTTP_OPTIONS_RUN;
    for (int pass = 0; pass < 2; pass++) {
        for (int at = 1; at < argc && answer == HTTP_OPTIONS_RUN;) {
            answer = read_flag(options, argc, argv, &at, error, size);
        }
        if (pass == 0 && answer == HTTP_OPTIONS_RUN) {
            answer = read_environment(options, env, error, size);
        }
    }
    return answer;
}

size_t http_options_help(char *out, size_t size) {
    size_t n = (size_t)snprintf(
        out, size,
        "usage: demo_http [FLAGS]\n\n"
        "An HTTP/1.1 server in which each connection is a green task that can "
        "be\ninterrupted anywhere. Each flag has a twin in the environment: "
        "--max-body is\nWEFT_HTTP_MAX_BODY.\n\n");
    for (int i = 0; i < OPTIONS && n < size; i++) {
        const struct option *o = &kOptions[i];
        char flag[48];
        snprintf(flag, sizeof(flag), "--%s %s", o->name,
                 o->kind == SWITCH ? "" : looks(o->kind));
        n += (size_t)snprintf(out + n, size - n, "  %-27s %s%s%s%s\n", flag,
                              o->help, o->value != NULL ? " (" : "",
                              o->value != NULL ? o->value : "",
                              o->value != NULL ? ")" : "");
    }
    if (n < size) {
        n += (size_t)snprintf(out + n, size - n, "  %-27s this text\n",
                              "--help");
    }
    return n < size ? n : size - 1;
}
