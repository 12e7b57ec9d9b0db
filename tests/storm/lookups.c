/* SPDX-License-Identifier: MIT */
/* What libc looks up: shared objects, names of hosts, the calendar, locales. */
#define _GNU_SOURCE /* dl_iterate_phdr(), timegm(), strptime() */
#include <dlfcn.h>
#include <langinfo.h>
#include <limits.h>
#include <link.h>
#include <locale.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/storm/kind.h"
#include "weft/base/check.h"

/* --- the loader -------------------------------------------------------------
 */

static char plugin[PATH_MAX];

/* It lies beside the program. */
static bool find_plugin(void) {
    ssize_t n = readlink("/proc/self/exe", plugin, sizeof plugin - 16);
    WEFT_CHECK_OP(n, >, 0);
    plugin[n] = '\0';
    strcpy(strrchr(plugin, '/'), "/plugin.so");
    if (access(plugin, R_OK) != 0) {
        strcpy(plugin, "tests/storm/plugin.so"); /* where tests are run */
    }
    void *object = dlopen(plugin, RTLD_NOW);
    return object != NULL && dlclose(object) == 0;
}

static void load_and_unload(struct storm_task *self) {
    int question = (int)self->index;
    void *object = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
    WEFT_CHECK_OP(object, !=, NULL);
    int (*answer)(int) = (int (*)(int))dlsym(object, "storm_plugin_answer");
    WEFT_CHECK(answer != NULL);
    WEFT_CHECK_OP(answer(question), ==, question + 42);
    WEFT_CHECK_OP(dlsym(object, "storm_plugin_nothing"), ==, NULL);
    WEFT_CHECK_OP(dlerror(), !=, NULL);
    WEFT_CHECK_OP(dlclose(object), ==, 0);
}

STORM_KIND(dlopen, load_and_unload, find_plugin, NULL);

struct walk {
    unsigned objects, segments;
    bool found; /* the object that this function is in */
};

/* Under a lock of the loader, which is recursive and knows its owner. (Not one
 * that dladdr() may be called under: with dlopen() beside it, that deadlocks in
 * any program.) */
static int look_at_object(struct dl_phdr_info *info, size_t size, void *arg) {
    struct walk *walk = arg;
    (void)size;
    walk->objects++;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD) {
            walk->segments++;
            walk->found |= (uintptr_t)look_at_object - start < segment->p_memsz;
        }
    }
    storm_work(100);
    return 0;
}

static void walk_objects(struct storm_task *self) {
    struct walk walk = {0};
    (void)self;
    WEFT_CHECK_OP(dl_iterate_phdr(look_at_object, &walk), ==, 0);
    WEFT_CHECK(walk.found);
    WEFT_CHECK_OP(walk.objects, >, 1U);
    WEFT_CHECK_OP(walk.segments, >=, walk.objects);
}

STORM_KIND(dl_iterate_phdr, walk_objects, NULL, NULL);

/* --- names ------------------------------------------------------------------
 */

static int localhost_found; /* what getaddrinfo() says of the name */

static int look_up(const char *name, int flags) {
    struct addrinfo hints = {
        .ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *found;
    int result = getaddrinfo(name, "80", &hints, &found);
    if (result == 0) {
        const struct sockaddr_in *in = (const void *)found->ai_addr;
        WEFT_CHECK_OP(found->ai_family, ==, AF_INET);
        WEFT_CHECK_OP(ntohs(in->sin_port), ==, 80);
        WEFT_CHECK_OP(ntohl(in->sin_addr.s_addr), ==, INADDR_LOOPBACK);
        freeaddrinfo(found);
    }
    return result;
}

static bool try_localhost(void) {
    localhost_found = look_up("localhost", 0);
    return true;
}

static void look_up_names(struct storm_task *self) {
    char text[32];
    WEFT_CHECK_OP(look_up("127.0.0.1", AI_NUMERICHOST | AI_NUMERICSERV), ==, 0);
    WEFT_CHECK_OP(look_up("no number", AI_NUMERICHOST), ==, EAI_NONAME);
    if (self->rounds % 16 == 0) { /* reads files, asks the kernel */
        WEFT_CHECK_OP(look_up("localhost", 0), ==, localhost_found);
    }
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(self->index)};
    WEFT_CHECK_OP(getnameinfo((struct sockaddr *)&in, sizeof in, text,
                              sizeof text, NULL, 0, NI_NUMERICHOST),
                  ==, 0);
    char expected[32];
    snprintf(expected, sizeof expected, "0.0.%u.%u", self->index / 256,
             self->index % 256);
    WEFT_CHECK(strcmp(text, expected) == 0);
}

STORM_KIND(getaddrinfo, look_up_names, try_localhost, NULL);

/* --- the calendar -----------------------------------------------------------
 */

/* With a zone that has summers and winters. Not localtime(): its result is one
 * for all threads. */
static bool set_zone(void) {
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    return true;
}

static void go_through_calendar(struct storm_task *self) {
    time_t when = (time_t)storm_random(self) * 100;
    struct tm tm, again;
    char text[64];
    WEFT_CHECK_OP(localtime_r(&when, &tm), ==, &tm);
    bool summer = tm.tm_isdst > 0;
    WEFT_CHECK_OP(mktime(&tm), ==, when);
    WEFT_CHECK_OP(strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z %Z", &tm),
                  ==, summer ? 30U : 29U);
    WEFT_CHECK(strcmp(text + 20, summer ? "+0200 CEST" : "+0100 CET") == 0);
    WEFT_CHECK_OP(gmtime_r(&when, &tm), ==, &tm);
    WEFT_CHECK_OP(strftime(text, sizeof text, "%F %T", &tm), ==, 19U);
    memset(&again, 0, sizeof again);
    WEFT_CHECK_OP(strptime(text, "%Y-%m-%d %H:%M:%S", &again), !=, NULL);
    WEFT_CHECK_OP(timegm(&again), ==, when);
}

STORM_KIND(localtime_strftime, go_through_calendar, set_zone, NULL);

/* --- locales ----------------------------------------------------------------
 */

static locale_t plain, unicode;

static bool make_locales(void) {
    plain = newlocale(LC_ALL_MASK, "C", NULL);
    unicode = newlocale(LC_ALL_MASK, "C.UTF-8", NULL);
    return plain != NULL && unicode != NULL;
}

static void free_locales(uint64_t rounds) {
    (void)rounds;
    freelocale(plain);
    freelocale(unicode);
}

static void use_locale(struct storm_task *self) {
    bool wide = (self->index + self->rounds) % 2 == 1;
    locale_t mine = wide ? unicode : plain;
    wchar_t text[8];
    locale_t before = uselocale(mine);
    storm_work(500);
    WEFT_CHECK_OP(MB_CUR_MAX, ==, wide ? 6U : 1U);
    WEFT_CHECK((strcmp(nl_langinfo(CODESET), "UTF-8") == 0) == wide);
    if (wide) {
        WEFT_CHECK_OP(mbstowcs(text, "\xc3\xa4\xe2\x82\xac", 8), ==, 2U);
        WEFT_CHECK_OP(text[1], ==, 0x20ac);
    }
    locale_t copy = duplocale(uselocale(NULL));
    WEFT_CHECK_OP(copy, !=, NULL);
    freelocale(copy);
    WEFT_CHECK_OP(uselocale(before), ==, mine);
}

STORM_KIND(uselocale, use_locale, make_locales, free_locales);
