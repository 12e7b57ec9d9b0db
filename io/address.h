/* SPDX-License-Identifier: MIT */
/* Addresses as people write them: "127.0.0.1:8080", "[::1]:80", and of Unix
 * sockets "unix:/run/service.sock", "unix:@name" (abstract: no file, gone with
 * the socket). Numbers only: for a name see
 * weft/io/resolve.h. */
#ifndef WEFT_IO_ADDRESS_H_
#define WEFT_IO_ADDRESS_H_

#include <stddef.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Room for any formatted address and the terminator. */
#define WEFT_ADDRESS_TEXT 128

/* Reads "A.B.C.D:PORT" or "[IPV6]:PORT", PORT from 0 to 65535, or "unix:PATH"
 * or "unix:@NAME", of 1 to 107 bytes, into `*out`; the rest of it is zeros.
 * Returns the length of the address that was made, for bind(2) and connect(2),
 * or -EINVAL. Context: anywhere. */
int weft_address_parse(const char *text, struct sockaddr_storage *out);

/* The length of `address`, which was filled by the above or by a call of weft,
 * for bind(2) and connect(2). Returns that, or -EAFNOSUPPORT for another
 * family. Context: anywhere. */
int weft_address_size(const struct sockaddr_storage *address);

/* Writes `address` in the same form into `text` of `size` bytes, cut where it
 * does not fit and always terminated; a Unix socket without a name is "unix:".
 * Returns the length of the text, or -EAFNOSUPPORT for another family, with an
 * empty text. Context: anywhere. */
int weft_address_format(const struct sockaddr_storage *address, char *text,
                        size_t size);

#ifdef __cplusplus
}
#endif

#endif
