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

int weft_address_parse(const char *text, struct sockaddr_storage *out) {
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
    text[0] = '\0';
    return -EAFNOSUPPORT;
}
