/* SPDX-License-Identifier: MIT */
/* Addresses as people write them: "127.0.0.1:8080", "[::1]:80". Numbers only; a
 * name takes a look-up that may block (getaddrinfo() in weft_blocking()). */
#ifndef WEFT_IO_ADDRESS_H_
#define WEFT_IO_ADDRESS_H_

#include <stddef.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Room for any formatted address and the terminator. */
#define WEFT_ADDRESS_TEXT 64

/* Reads "A.B.C.D:PORT" or "[IPV6]:PORT", PORT from 0 to 65535, into `*out`.
 * Returns the length of the address that was made, for bind(2) and connect(2),
 * or -EINVAL. Context: anywhere. */
int weft_address_parse(const char *text, struct sockaddr_storage *out);

/* Writes `address` in the same form into `text` of `size` bytes, cut where it
 * does not fit and always terminated. Returns the length of the text, or
 * -EAFNOSUPPORT for another family, with an empty text.
 * Context: anywhere. */
int weft_address_format(const struct sockaddr_storage *address, char *text,
                        size_t size);

#ifdef __cplusplus
}
#endif

#endif
