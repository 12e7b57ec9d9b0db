/* SPDX-License-Identifier: MIT */
/* Host and port are split by hand, the numbers in between are inet_pton()'s
 * business. Always true: nothing is accepted that has a second meaning (spaces,
 * signs, octal, a missing port), since addresses come from command lines. */
#include "weft/io/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include "weft/base/print.h"

/* Up to five digits and nothing else. Returns the port or -EINVAL. */
static int parse_port(const char *text) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0') {
        return -EINVAL;
    }
    int port = 0;
    for (size_t i = 0; i < digits; i++) {
        port = port * 10 + (text[i] - '0');
    }
    return port <= 65535 ? port : -EINVAL;
}

/* Where a Unix socket's name begins, and the room for it; a path needs its
 * terminator, and an abstract name a zero in front. */
#define NAME_AT   offsetof(struct sockaddr_un, sun_path)
#define NAME_ROOM sizeof(((struct sockaddr_un *)0)->sun_path)

/* How much of the room the name fills, the zero in front counted. */
static size_t name_length(const char *name) {
    return name[0] != '\0' ? strnlen(name, NAME_ROOM)
                           : 1 + strnlen(name + 1, NAME_ROOM - 1);
}

static int parse_unix(const char *name, struct sockaddr_storage *out) {
    struct sockaddr_un *un = (struct sockaddr_un *)out;
    bool abstract = name[0] == '@';
    size_t length = strlen(name);
    if (length == 0 || length >= NAME_ROOM || (abstract && length == 1)) {
        return -EINVAL;
    }
    memset(out, 0, sizeof(*out));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, name, length);
    if (abstract) {
        un->sun_path[0] = '\0';
    }
    return (int)(NAME_AT + length + !abstract);
}

int weft_address_parse(const char *text, struct sockaddr_storage *out) {
    if (strncmp(text, "unix:", 5) == 0) {
        return parse_unix(text + 5, out);
    }
    bool six = text[0] == '[';
    const char *host = six ? text + 1 : text;
    const char *end = strchr(host, six ? ']' : ':');
    char copy[INET6_ADDRSTRLEN];
    if (end == NULL || (six && end[1] != ':') ||
        (size_t)(end - host) >= sizeof(copy)) {
        return -EINVAL;
    }
    memcpy(copy, host, (size_t)(end - host));
    copy[end - host] = '\0';
    int port = parse_port(six ? end + 2 : end + 1);
    if (port < 0) {
        return port;
    }
    memset(out, 0, sizeof(*out));
    if (six) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, copy, &in6->sin6_addr) == 1
                   ? (int)sizeof(*in6)
                   : -EINVAL;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, copy, &in->sin_addr) == 1 ? (int)sizeof(*in)
                                                        : -EINVAL;
}

int weft_address_size(const struct sockaddr_storage *address) {
    switch (address->ss_family) {
        case AF_INET:
            return (int)sizeof(struct sockaddr_in);
        case AF_INET6:
            return (int)sizeof(struct sockaddr_in6);
        case AF_UNIX: {
            const char *name = ((const struct sockaddr_un *)address)->sun_path;
            size_t length = name_length(name);
            /* A path that fills the room has no terminator: unix(7). */
            bool closed = name[0] != '\0' && length < NAME_ROOM;
            return (int)(NAME_AT + (length == 1 && !closed ? 0 : length) +
                         closed);
        }
        default:
            return -EAFNOSUPPORT;
    }
}

int weft_address_format(const struct sockaddr_storage *address, char *text,
                        size_t size) {
    char host[INET6_ADDRSTRLEN];
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        return (int)weft_format(text, size, "%s:%u", host,
                                (unsigned)ntohs(in->sin_port));
    }
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        return (int)weft_format(text, size, "[%s]:%u", host,
                                (unsigned)ntohs(in6->sin6_port));
    }
    if (address->ss_family == AF_UNIX) {
        const char *name = ((const struct sockaddr_un *)address)->sun_path;
        char copy[NAME_ROOM + 1] = {0};
        size_t length = name_length(name);
        memcpy(copy, name, length);
        if (name[0] == '\0') {
            copy[0] = length > 1 ? '@' : '\0';
        }
        return (int)weft_format(text, size, "unix:%s", copy);
    }
    text[0] = '\0';
    return -EAFNOSUPPORT;
}
