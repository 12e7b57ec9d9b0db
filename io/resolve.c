/* SPDX-License-Identifier: MIT */
/* A question and who asks it. getaddrinfo() cannot be ended from outside, so it
 * is another task's, in weft_blocking(), and the caller joins that task until
 * the deadline.
 *
 * Always true: a question is used by two, the caller and the task; each leaves
 * it once, and the one that leaves it last frees it. The names are copied into
 * it, for the caller's may be gone before the task is.
 *
 * Rejected: getaddrinfo_a(3), which has threads of its own and none that weft
 * knows; a resolver of our own, which would know DNS and not what else
 * nsswitch.conf(5) says. */
#include "weft/io/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "weft/sched/task.h"

/* Name services are libraries of all kinds, and their stacks are not small. */
#define STACK (512 << 10)

struct question {
    _Atomic int left;       /* both: how many have left it */
    const char *host;       /* fixed; in `text` */
    const char *service;    /* fixed; in `text` */
    int error;              /* the task's, then the caller's */
    struct addrinfo *found; /* the same */
    char text[];
};

static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

/* The errno for what getaddrinfo() returned, on the same thread. */
static int error_of(int answer) {
    switch (answer) {
        case 0:
            return 0;
        case EAI_SYSTEM:
            return errno != 0 ? -errno : -EIO;
        case EAI_MEMORY:
            return -ENOMEM;
        case EAI_AGAIN:
            return -EAGAIN;
        case EAI_SERVICE:
        case EAI_BADFLAGS:
            return -EINVAL;
        case EAI_FAIL:
            return -EIO;
        default:
            return -ENOENT; /* NONAME, NODATA, FAMILY, ADDRFAMILY */
    }
}

static void *ask(void *arg) {
    struct question *q = arg;
    errno = 0;
    q->error = error_of(getaddrinfo(q->host, q->service, &hints, &q->found));
    return NULL;
}

static void leave(struct question *q) {
    /* Release and acquire: both pair with the other's call of this. */
    if (atomic_fetch_add_explicit(&q->left, 1, memory_order_acq_rel) == 1) {
        if (q->found != NULL) {
            freeaddrinfo(q->found);
        }
        free(q);
    }
}

static void *ask_and_leave(void *arg) {
    weft_blocking(ask, arg);
    leave(arg);
    return NULL;
}

static struct question *new_question(const char *host, const char *service) {
    size_t host_size = host == NULL ? 0 : strlen(host) + 1;
    size_t service_size = service == NULL ? 0 : strlen(service) + 1;
    struct question *q = malloc(sizeof(*q) + host_size + service_size);
    if (q == NULL) {
        return NULL;
    }
    *q = (struct question){.left = 0};
    if (host != NULL) {
        q->host = memcpy(q->text, host, host_size);
    }
    if (service != NULL) {
        q->service = memcpy(q->text + host_size, service, service_size);
    }
    return q;
}

/* Copies what was found, of families that sockaddr_storage is for. */
static int take(const struct question *q, struct sockaddr_storage *out,
                int max) {
    int count = 0;
    for (const struct addrinfo *a = q->found; a != NULL && count < max;
         a = a->ai_next) {
        if (a->ai_addrlen <= sizeof(*out)) {
            memset(&out[count], 0, sizeof(*out));
            memcpy(&out[count++], a->ai_addr, a->ai_addrlen);
        }
    }
    return count > 0 ? count : -ENOENT;
}

int weft_resolve(const char *host, const char *service,
                 struct sockaddr_storage *out, int max, uint64_t deadline) {
    static const struct weft_task_options options = {.name = "weft-resolve",
                                                     .stack_size = STACK};
    struct weft_task *task;
    if (max < 1 || (host == NULL && service == NULL)) {
        return -EINVAL;
    }
    if (weft_self() == NULL) {
        return -EPERM;
    }
    struct question *q = new_question(host, service);
    if (q == NULL) {
        return -ENOMEM;
    }
    int error = weft_spawn(&task, ask_and_leave, q, &options);
    if (error != 0) {
        free(q);
        return error;
    }
    error = weft_join_until(task, NULL, deadline);
    if (error != 0) {
        weft_detach(task);
    } else {
        error = q->error != 0 ? q->error : take(q, out, max);
    }
    leave(q);
    return error;
}
