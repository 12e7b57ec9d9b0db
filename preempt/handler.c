/* SPDX-License-Identifier: MIT */
/* The handler of SIGURG on Linux.
 *
 * SIGURG, because by default it is ignored, debuggers let it pass, libc does
 * not use it, and programs that do must expect it for no reason (Go chose it
 * for the same reasons).
 *
 * Always true in here:
 * - Everything up to the hooks lies in the section weft_text and calls nothing
 *   outside it but libc's errno, takes no lock and allocates nothing.
 * - The handler does not run on the alternate stack: it may sleep, and the next
 *   task of this thread would overwrite the frame.
 * - SIGURG stays blocked while it runs and comes back with the frame.
 *
 * Application text is the executable's own code, stubs to shared libraries
 * included, without weft_text; all else (libc, the loader, the vDSO, shared
 * objects, generated code) is "libc", where preempting right away would park
 * holders of short locks. It is an allow-list, so that what nobody thought of
 * is treated with care. In a static executable libc is application text; that
 * is as safe (the interrupted task keeps its thread), only less kind to those
 * who wait for malloc's lock.
 *
 * Under ThreadSanitizer (by WEFT_PREEMPT=signal alone) the handler may have
 * interrupted the sanitizer with its locks held. So this file and its target
 * are not instrumented, and nobody is preempted inside that library.
 *
 * Tried and dropped:
 * - SA_NODEFER with a bound on our own signals. Nothing bounds other people's:
 *   a peer that sends urgent data fast enough, or a loop of kill(2), piles up
 *   frames of 3 KiB until the task's stack is full.
 * - libc's sigaction(). Under ThreadSanitizer that is the sanitizer's, which
 *   delays the signal until the next call into libc: a loop without calls would
 *   never be interrupted. rt_sigaction(2) itself is the same in all builds.
 * - "Not in libc" instead of "in application text": with static linking, or
 *   with another allocator, libc's text is not where that test looks. */
#define _GNU_SOURCE /* dl_iterate_phdr() */
#include "handler.h"

#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "frame.h"
#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/base/syscall.h"

/* rt_sigaction(2)'s own structure; libc's has another order. */
struct kernel_action {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

enum {
    RANGES = 8,
    MASK_SIZE = sizeof(uint64_t),
    AGAIN = 50 * 1000, /* ns; an alarm that went off in libc does it again, */
    SOON = 20 * 1000,  /* and one that found the gate closed */
};

struct range {
    uintptr_t start;
    uintptr_t end;
};

/* Written by install and uninstall, when no thread has entered; the handler
 * may meanwhile pass foreign signals on, hence the atomic. */
static struct {
    _Atomic bool active;
    bool covered; /* uninstalled below somebody else's handler */
    struct weft_signals_config config;
    struct kernel_action previous;
    pid_t pid;
    uintptr_t restorer; /* where handle() returns to, or 0 */
    int ranges;
    struct range text[RANGES]; /* of the application */
    struct range sanitizer;    /* ThreadSanitizer's library, or empty */
    _Atomic uint64_t foreign;
} state;

/* The section's bounds, by the linker; NULL when it is empty. */
extern const char start_of_weft_text[] __asm__("__start_weft_text")
    __attribute__((weak, visibility("hidden")));
extern const char end_of_weft_text[] __asm__("__stop_weft_text")
    __attribute__((weak, visibility("hidden")));

/* Defined when the program runs under ThreadSanitizer. */
extern void thread_sanitizer(void *) __asm__("__tsan_func_entry")
    __attribute__((weak));

/* Only the handler on the one thread writes: no read-modify-write needed. */
WEFT_TEXT static void bump(_Atomic uint64_t *counter) {
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
        memory_order_relaxed);
}

WEFT_TEXT static bool in_runtime_text(uintptr_t pc) {
    return pc >= (uintptr_t)start_of_weft_text &&
           pc < (uintptr_t)end_of_weft_text;
}

WEFT_TEXT static bool in_range(const struct range *range, uintptr_t pc) {
    return pc >= range->start && pc < range->end;
}

WEFT_TEXT static bool in_application_text(uintptr_t pc) {
    for (int i = 0; i < state.ranges; i++) {
        if (in_range(&state.text[i], pc)) {
            return true;
        }
    }
    return false;
}

/* A SIGURG that weft_signals_request() sent to this thread. Where too many
 * signals of this user wait (RLIMIT_SIGPENDING) it comes all the same, but does
 * not tell from whom. */
WEFT_TEXT static bool is_ours(struct weft_thread *thread,
                              const siginfo_t *info) {
    bool named = info->si_code == SI_TKILL && info->si_pid == state.pid;
    bool nameless = info->si_code == SI_USER && info->si_pid == 0;
    if (thread == NULL || (!named && !nameless)) {
        return false;
    }
    /* Acquire: pairs with the release in claim() of signals.c. */
    uint32_t seen =
        atomic_load_explicit(&thread->in_flight, memory_order_acquire);
    return (seen != 0 && seen != WEFT_THREAD_LEFT) ||
           atomic_load_explicit(&thread->late, memory_order_relaxed) != 0;
}

/* The alarm of this thread. */
WEFT_TEXT static bool is_alarm(const struct weft_thread *thread,
                               const siginfo_t *info) {
    return thread != NULL && weft_alarm_is(&thread->alarm, info);
}

/* What the previous handler would have got, with the signals blocked that it
 * wanted blocked. (SA_ONSTACK and SA_RESETHAND of it are not followed.) */
WEFT_TEXT static void pass_on(int number, siginfo_t *info, void *ucontext) {
    atomic_fetch_add_explicit(&state.foreign, 1, memory_order_relaxed);
    struct kernel_action *previous = &state.previous;
    void (*plain)(int) = (void (*)(int))(uintptr_t)previous->handler;
    if (plain == SIG_DFL || plain == SIG_IGN) {
        return;
    }
    uint64_t before = 0;
    if (previous->mask != 0) {
        weft_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&previous->mask,
                     (long)&before, MASK_SIZE, 0, 0);
    }
    if (previous->flags & SA_SIGINFO) {
        previous->handler(number, info, ucontext);
    } else {
        plain(number);
    }
    if (previous->mask != 0) {
        weft_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0,
                     MASK_SIZE, 0, 0);
    }
}

/* The gate is closed now; `was_closed` says how it was. */
WEFT_TEXT static void decide(struct weft_thread *thread, bool was_closed,
                             struct weft_interrupt *interrupt) {
    if (interrupt->alarm && (was_closed || in_runtime_text(interrupt->pc))) {
        thread->rang = true;
    }
    if (was_closed) {
        weft_gate_defer(&thread->gate);
        bump(&thread->deferred_gate);
        return;
    }
    if (in_runtime_text(interrupt->pc)) {
        weft_gate_defer(&thread->gate);
        bump(&thread->deferred_text);
        return;
    }
    if (in_range(&state.sanitizer, interrupt->pc)) {
        bump(&thread->deferred_libc); /* however often: it holds its locks */
        return;
    }
    if (interrupt->alarm &&
        (state.config.alarm == NULL ||
         !state.config.alarm(state.config.arg, interrupt))) {
        return;
    }
    uint32_t in_row =
        atomic_load_explicit(&thread->libc_deferrals, memory_order_relaxed);
    if (!in_application_text(interrupt->pc) &&
        in_row < state.config.libc_defer_ticks) {
        atomic_store_explicit(&thread->libc_deferrals, in_row + 1,
                              memory_order_relaxed);
        bump(&thread->deferred_libc);
        if (interrupt->alarm) {
            weft_alarm_set(&thread->alarm, weft_clock_now() + AGAIN);
        }
        return;
    }
    atomic_store_explicit(&thread->libc_deferrals, 0, memory_order_relaxed);
    if (state.config.may != NULL &&
        !state.config.may(state.config.arg, thread)) {
        bump(&thread->stale);
        return;
    }
    bump(&thread->kept);
    state.config.preempt(state.config.arg, interrupt);
    if (!interrupt->moved) { /* else it is another thread's gate, and a note */
        weft_gate_clear(&thread->gate); /* there may be newer than this */
    }
}

/* Opens the gate; a note is for who opens it outside of here. What goes on may
 * compute and never open it: an alarm that went off meanwhile does it again. */
WEFT_TEXT static void open_gate(struct weft_thread *thread) {
    if (weft_gate_open(&thread->gate)) {
        weft_gate_defer(&thread->gate);
        if (thread->rang && weft_alarm_when(&thread->alarm) == 0) {
            weft_alarm_set(&thread->alarm, weft_clock_now() + SOON);
        }
    }
}

/* This signal is done with. A request's word is cleared; one that came while
 * the signal was the alarm's is still to be answered, and the kernel, which
 * keeps one signal of a kind for a thread, may have thrown it away. */
WEFT_TEXT static void finish(struct weft_thread *thread, bool alarm) {
    atomic_store_explicit(&thread->handling, 0, memory_order_relaxed);
    if (!alarm) {
        /* The last store. Release: pairs with the acquire in claim() of
         * signals.c and in weft_thread_leave(). */
        atomic_store_explicit(&thread->in_flight, 0, memory_order_release);
        return;
    }
    uint32_t seen =
        atomic_load_explicit(&thread->in_flight, memory_order_relaxed);
    if (WEFT_UNLIKELY(seen != 0 && seen != WEFT_THREAD_LEFT)) {
        weft_handler_send(thread); /* thrown away itself if it was not */
    }
}

/* False when the interrupted code goes on on another thread: then there is
 * nothing left to do, and this thread's errno is its own already. */
WEFT_TEXT static bool answer(struct weft_thread *thread,
                             struct weft_interrupt *interrupt) {
    bool was_closed = weft_gate_is_closed(&thread->gate);
    atomic_store_explicit(&thread->handling, 1, memory_order_relaxed);
    weft_gate_close(&thread->gate);
    decide(thread, was_closed, interrupt);
    if (interrupt->moved) {
        /* SIGURG is not blocked here: one that comes finds the gate closed, or
         * the runtime's text, up to the return into the kernel. */
        open_gate(interrupt->thread);
        return false;
    }
    open_gate(thread);
    finish(thread, interrupt->alarm);
    return true;
}

/* A signal of ours; as answer(). */
WEFT_TEXT static bool take(struct weft_thread *thread,
                           struct weft_interrupt *interrupt) {
    if (interrupt->alarm) {
        bump(&thread->alarms);
        weft_alarm_rang(&thread->alarm, weft_clock_now());
        if (interrupt->cut_short) {
            bump(&thread->cut_short);
        }
        return answer(thread, interrupt);
    }
    bump(&thread->deliveries);
    if (atomic_load_explicit(&thread->in_flight, memory_order_relaxed) == 0) {
        /* The first of two signals, after the second was answered. */
        atomic_store_explicit(&thread->late, 0, memory_order_relaxed);
        bump(&thread->stale);
        return true;
    }
    return answer(thread, interrupt);
}

WEFT_TEXT static void handle(int number, siginfo_t *info, void *ucontext) {
    int *error = &errno; /* this thread's, so not to be used on another */
    int saved = *error;
    bool stayed = true;
    struct weft_thread *thread = weft_thread_self();
    /* Acquire: pairs with the release in weft_handler_install(). */
    bool active = atomic_load_explicit(&state.active, memory_order_acquire);
    bool alarm = active && is_alarm(thread, info);
    if (alarm || (active && is_ours(thread, info))) {
        uintptr_t caller = (uintptr_t)__builtin_return_address(0);
        struct weft_interrupt interrupt = {
            .thread = thread,
            .ucontext = ucontext,
            .pc = weft_frame_pc(ucontext),
            .sp = weft_frame_sp(ucontext),
            .error = saved,
            .direct = state.restorer != 0 && caller == state.restorer,
            .alarm = alarm,
            .cut_short = alarm && weft_frame_cut_short(ucontext),
        };
        stayed = take(thread, &interrupt);
    } else {
        pass_on(number, info, ucontext);
    }
    if (stayed) {
        *error = saved;
    }
}

WEFT_TEXT void weft_handler_abandon(struct weft_interrupt *interrupt) {
    uint64_t urgent = UINT64_C(1) << (SIGURG - 1);
    finish(interrupt->thread, interrupt->alarm);
    weft_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&urgent, 0, MASK_SIZE,
                 0, 0);
}

WEFT_TEXT int weft_handler_send(const struct weft_thread *thread) {
    return (int)weft_syscall(SYS_tgkill, state.pid, thread->tid, SIGURG, 0, 0,
                             0);
}

/* Notes the executable segments of the first object, which is the program, and
 * of ThreadSanitizer's library. */
static int note_text(struct dl_phdr_info *info, size_t size, void *arg) {
    bool *program = arg;
    uintptr_t sanitizer = (uintptr_t)thread_sanitizer;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) {
            continue;
        }
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        struct range range = {start, start + segment->p_memsz};
        if (*program && state.ranges < RANGES) {
            state.text[state.ranges++] = range;
        } else if (sanitizer != 0 && in_range(&range, sanitizer)) {
            state.sanitizer = range;
        }
    }
    *program = false;
    return 0; /* go on with the next object */
}

static int set_action(const struct kernel_action *action,
                      struct kernel_action *previous) {
    return (int)weft_syscall(SYS_rt_sigaction, SIGURG, (long)action,
                             (long)previous, MASK_SIZE, 0, 0);
}

int weft_handler_install(const struct weft_signals_config *config) {
    struct kernel_action current = {0};
    struct kernel_action ours = {.handler = handle,
                                 .flags = SA_SIGINFO | SA_RESTART};
    unsigned long restorer_flag = 0;
    weft_frame_restorer(&ours.restorer, &restorer_flag);
    ours.flags |= restorer_flag;
    state.restorer = (uintptr_t)ours.restorer;

    state.config = *config;
    state.pid = getpid();
    state.ranges = 0;
    bool program = true;
    dl_iterate_phdr(note_text, &program);

    int error = set_action(NULL, &current);
    if (error == 0 && current.handler != handle) {
        if (state.covered) {
            return -EBUSY; /* it would call ours, and ours it */
        }
        state.previous = current;
        error = set_action(&ours, NULL);
    }
    if (error != 0) {
        return error;
    }
    state.covered = false;
    /* Release: pairs with the acquire in handle(). */
    atomic_store_explicit(&state.active, true, memory_order_release);
    return 0;
}

int weft_handler_uninstall(void) {
    atomic_store_explicit(&state.active, false, memory_order_relaxed);
    struct kernel_action current = {0};
    int error = set_action(NULL, &current);
    if (error == 0 && current.handler != handle) {
        state.covered = true;
        return -EBUSY;
    }
    return error == 0 ? set_action(&state.previous, NULL) : error;
}

uint64_t weft_handler_foreign(void) {
    return atomic_load_explicit(&state.foreign, memory_order_relaxed);
}
