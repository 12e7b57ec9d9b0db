/* SPDX-License-Identifier: MIT */
/* Naming stack overflows.
 *
 * The handler runs on the thread's alternate stack, since the task's is full.
 * It calls nothing that allocates or locks: the pool is searched without a lock
 * and the line is written with write(2).
 *
 * What is an overflow?
 * - The fault has an address, it lies in the guard of a stack of the pool, and
 *   the stack pointer is near: an instruction reaches at most a red zone or a
 *   pre-decremented store below its own frame. A wild pointer that happens to
 *   hit a guard while sp is elsewhere is none.
 * - The kernel found no room for a signal's frame. It then raises SIGSEGV with
 *   SI_KERNEL and without an address: the stack pointer says where. (A general
 *   protection fault looks the same; sp then lies in the middle of a stack.)
 *
 * Then everything goes its old way. To die "as it would have": where the
 * previous action was the default, that comes back and the faulting instruction
 * is executed again, so that a core dump shows it and its address. Where the
 * fault will not repeat itself (the signal's frame above, or somebody's
 * kill()), the signal is sent again; it waits, blocked, until the handler
 * returns. A previous handler is called as the kernel would have called it:
 * with the same arguments and its own mask (ours is installed with that mask),
 * on the alternate stack.
 *
 * The line is written once in a process: a previous handler that returns
 * without mending anything faults for ever, as it would have without us. */
#include "weft/arch/overflow.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "weft/arch/pages.h"
#include "weft/arch/registers.h"
#include "weft/base/compiler.h"
#include "weft/base/lock.h"
#include "weft/base/print.h"
#include "weft/base/syscall.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum {
    /* How far above a faulting access sp may be: 504 bytes for AArch64's
     * store-pair, 128 for x86-64's red zone; rounded up. */
    NEAR = 1024,
    /* Beside a signal's frame: the handler's own, with its line of text. */
    ROOM = (WEFT_ASAN || WEFT_TSAN) ? 256 * 1024 : 32 * 1024,
};

static const int signals[] = {SIGSEGV, SIGBUS};
enum { SIGNALS = sizeof(signals) / sizeof(signals[0]) };

static struct {
    /* Written by install and uninstall, which the user keeps apart. */
    weft_overflow_describe describe;
    void *arg;
    size_t frame; /* AT_MINSIGSTKSZ and what the kernel aligns away */
    struct sigaction previous[SIGNALS];
    bool placed[SIGNALS];   /* ours is installed, perhaps below another */
    _Atomic bool installed; /* any thread */
    /* Any thread, in the handler: NULL when not watching. Stored with release
     * in install, loaded with acquire in overflowed(). */
    _Atomic(struct weft_stack_pool *) pool;
    _Atomic bool reported;
} watch;

/* Of the stack that overflowed by this fault. */
struct finding {
    struct weft_stack stack;
    uintptr_t fault;
    bool frame; /* a signal's frame did not fit */
};

static bool overflowed(const siginfo_t *info, const void *ucontext,
                       struct finding *out) {
    /* Acquire: pairs with the release in weft_overflow_install(). */
    struct weft_stack_pool *pool =
        atomic_load_explicit(&watch.pool, memory_order_acquire);
    uintptr_t sp = weft_registers_sp(ucontext);
    bool in_guard;
    if (pool == NULL || info->si_code <= 0) {
        return false; /* not watching, or a signal that somebody sent */
    }
    out->frame = info->si_code == SI_KERNEL && info->si_addr == NULL;
    if (out->frame) {
        out->fault = sp;
        return weft_stack_pool_find(pool, (void *)sp, &out->stack, &in_guard) &&
               (in_guard || sp - (uintptr_t)out->stack.low < watch.frame);
    }
    out->fault = (uintptr_t)info->si_addr;
    return weft_stack_pool_find(pool, info->si_addr, &out->stack, &in_guard) &&
           in_guard && sp < (uintptr_t)out->stack.low + NEAR;
}

static void report(const struct finding *found, const void *ucontext) {
    char who[512] = "a task";
    if (watch.describe != NULL) {
        watch.describe(watch.arg, &found->stack, who, sizeof(who));
        who[sizeof(who) - 1] = '\0';
    }
    weft_print(STDERR_FILENO,
               "weft: stack overflow in %s: stack of %zu bytes at %p, "
               "fault at %p%s, pc %p\n",
               who, found->stack.size + found->stack.colour,
               (void *)found->stack.low, (void *)found->fault,
               found->frame ? " (no room for a signal's frame)" : "",
               (void *)weft_registers_pc(ucontext));
}

/* What would have happened without us. */
static void forward(int i, int signal, siginfo_t *info, void *ucontext) {
    struct sigaction previous = watch.previous[i];
    bool sent = info->si_code <= 0;
    if ((previous.sa_flags & SA_SIGINFO) == 0) {
        if (previous.sa_handler == SIG_IGN && sent) {
            return;
        }
        if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
            previous.sa_handler = SIG_DFL;
            sigaction(signal, &previous, NULL);
            if (sent || info->si_code == SI_KERNEL) {
                weft_syscall(SYS_tgkill, getpid(),
                             weft_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0), signal,
                             0, 0, 0);
            }
            return;
        }
    }
    if (previous.sa_flags & SA_RESETHAND) {
        watch.previous[i].sa_handler = SIG_DFL;
        watch.previous[i].sa_flags &= ~SA_SIGINFO;
    }
    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(signal, info, ucontext);
    } else {
        previous.sa_handler(signal);
    }
}

WEFT_TEXT static void on_fault(int signal, siginfo_t *info, void *ucontext) {
    struct finding found;
    if (overflowed(info, ucontext, &found) &&
        !atomic_exchange_explicit(&watch.reported, true,
                                  memory_order_relaxed)) {
        report(&found, ucontext);
    }
    for (int i = 0; i < SIGNALS; i++) {
        if (signals[i] == signal) {
            forward(i, signal, info, ucontext);
            return;
        }
    }
}

/* Puts ours on top of what is there. Returns 0 or a negative errno. */
static int place(int i) {
    struct sigaction ours;
    if (watch.placed[i]) {
        return 0; /* somebody's handler lies on top of it */
    }
    if (sigaction(signals[i], NULL, &watch.previous[i]) < 0) {
        return -errno;
    }
    memset(&ours, 0, sizeof(ours));
    ours.sa_sigaction = on_fault;
    ours.sa_mask = watch.previous[i].sa_mask;
    sigaddset(&ours.sa_mask, SIGURG); /* nobody is preempted in the handler */
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK |
                    (watch.previous[i].sa_flags & (SA_NODEFER | SA_RESTART));
    if (sigaction(signals[i], &ours, NULL) < 0) {
        return -errno;
    }
    watch.placed[i] = true;
    return 0;
}

static void displace(int i) {
    struct sigaction now;
    if (watch.placed[i] && sigaction(signals[i], NULL, &now) == 0 &&
        (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_fault) {
        sigaction(signals[i], &watch.previous[i], NULL);
        watch.placed[i] = false;
    }
}

int weft_overflow_install(struct weft_stack_pool *pool,
                          weft_overflow_describe describe, void *arg) {
    if (atomic_exchange_explicit(&watch.installed, true,
                                 memory_order_relaxed)) {
        return -EBUSY;
    }
    watch.describe = describe;
    watch.arg = arg;
    watch.frame = getauxval(AT_MINSIGSTKSZ);
    if (watch.frame < (size_t)MINSIGSTKSZ) {
        watch.frame = (size_t)MINSIGSTKSZ;
    }
    watch.frame += 512;
    atomic_store_explicit(&watch.reported, false, memory_order_relaxed);
    for (int i = 0; i < SIGNALS; i++) {
        int error = place(i);
        if (error < 0) {
            weft_overflow_uninstall();
            return error;
        }
    }
    /* Release: pairs with the acquire in overflowed(). */
    atomic_store_explicit(&watch.pool, pool, memory_order_release);
    return 0;
}

void weft_overflow_uninstall(void) {
    atomic_store_explicit(&watch.pool, NULL, memory_order_relaxed);
    for (int i = 0; i < SIGNALS; i++) {
        displace(i);
    }
    atomic_store_explicit(&watch.installed, false, memory_order_relaxed);
}

/* An alternate stack: | guard | stack | this |. Under `lock`. */
struct alternate {
    struct alternate *next;
    void *base;
    size_t mapped;
    stack_t stack;
    long owner; /* the thread's id */
};

static struct {
    struct weft_lock lock;
    struct alternate *first;
    struct weft_pages pages;
} alternates = {.pages = {.max_guards = UINT32_MAX}};

static long own_id(void) {
    return weft_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

int weft_overflow_thread_init(void) {
    stack_t now;
    if (sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE) == 0) {
        return 0;
    }
    size_t page = weft_pages_size();
    size_t size = getauxval(AT_MINSIGSTKSZ) + ROOM;
    size = (size + page - 1) / page * page;
    char *base = weft_pages_map(&alternates.pages, page + size);
    if (base == NULL) {
        return -ENOMEM;
    }
    uintptr_t end = (uintptr_t)base + page + size;
    struct alternate *own =
        (struct alternate *)((end - sizeof(*own)) & ~(uintptr_t)63);
    own->base = base;
    own->mapped = page + size;
    own->owner = own_id();
    own->stack = (stack_t){
        .ss_sp = base + page,
        .ss_size = (size_t)((char *)own - (base + page)),
    };
    if (weft_pages_guard(&alternates.pages, base, page) < 0 ||
        sigaltstack(&own->stack, NULL) < 0) {
        weft_pages_unmap(base, page + size);
        return -ENOMEM;
    }
    weft_lock_acquire(&alternates.lock);
    own->next = alternates.first;
    alternates.first = own;
    weft_lock_release(&alternates.lock);
    return 0;
}

void weft_overflow_thread_fini(void) {
    long id = own_id();
    stack_t now;
    weft_lock_acquire(&alternates.lock);
    struct alternate **link = &alternates.first;
    while (*link != NULL && (*link)->owner != id) {
        link = &(*link)->next;
    }
    struct alternate *own = *link;
    if (own != NULL) {
        *link = own->next;
    }
    weft_lock_release(&alternates.lock);
    if (own == NULL) {
        return;
    }
    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == own->stack.ss_sp) {
        now.ss_flags = SS_DISABLE;
        sigaltstack(&now, NULL);
    }
    weft_pages_unmap(own->base, own->mapped);
}
