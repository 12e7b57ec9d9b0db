/* SPDX-License-Identifier: MIT */
/* Way 3 on x86-64, Linux. Runs in the handler, in the section weft_text, and
 * calls nothing outside it.
 *
 * Compiled for general registers only. A scan with vectors is quicker (640 ns
 * for 64 KiB instead of 4 us; most live stacks have a few hundred bytes), but
 * it leaves the bounds that it looks for in vector registers, the next task on
 * the thread inherits them, and the next scan finds them in its frame: no task
 * would ever be moved again.
 *
 * Stale words. A frame may have slots that were never written, in which a
 * pointer of an earlier call lies. They are taken for real: the task keeps its
 * thread that time, which is right and only dearer. Return addresses are
 * therefore not looked for in the whole stack, where stale ones are common, but
 * along the frame pointers. */
#define _GNU_SOURCE /* names of registers, pthread_getattr_np() */
#include "migrate.h"

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "scrub.h"
#include "weft/base/compiler.h"
#include "weft/base/syscall.h"

enum {
    WORD = sizeof(uintptr_t),
    RED_ZONE = 128, /* AMD64 ABI 3.2.2: live below the stack pointer */
    LIVE_MAX = 64 << 10,
    /* How far above the stack pointer a return address can lie before the
     * frame pointer is set up: saved registers, or a stack that was aligned. */
    PROLOGUE = 128,
    TEXTS = 256,
    /* For a second handler, should SIGURG come while one is left or entered:
     * beside the kernel's frame its calls need so much. */
    HANDLER = 2 << 10,

    /* The frame's floating-point state (asm/sigcontext.h, which libc's
     * ucontext.h excludes): where its extension is described. */
    FXSAVE_SIZE = 512,
    MAGIC_AT = 464, /* a word, and the whole size in the next */
    MAGIC = 0x46505853,
    STATE_MAX = 16 << 10, /* with AMX it is 11 KiB */
};

struct range {
    uintptr_t start;
    uintptr_t end;
};

/* Executable segments of all objects; fixed while tasks run. */
static struct {
    int count; /* -1: too many */
    struct range text[TEXTS];
} state = {.count = -1};

/* Sections' bounds, by the linker; NULL when they are empty. */
extern const char start_of_weft_text[] __asm__("__start_weft_text")
    __attribute__((weak, visibility("hidden")));
extern const char end_of_weft_text[] __asm__("__stop_weft_text")
    __attribute__((weak, visibility("hidden")));
extern const char start_of_migratable[] __asm__("__start_weft_migratable")
    __attribute__((weak, visibility("hidden")));
extern const char end_of_migratable[] __asm__("__stop_weft_migratable")
    __attribute__((weak, visibility("hidden")));

WEFT_TEXT static bool in_migratable(uintptr_t pc) {
    return pc >= (uintptr_t)start_of_migratable &&
           pc < (uintptr_t)end_of_migratable;
}

WEFT_TEXT static bool in_runtime(uintptr_t pc) {
    return pc >= (uintptr_t)start_of_weft_text &&
           pc < (uintptr_t)end_of_weft_text;
}

WEFT_TEXT static bool in_other_text(uintptr_t pc) {
    if (in_migratable(pc) || in_runtime(pc)) {
        return false;
    }
    for (int i = 0; i < state.count; i++) {
        if (pc >= state.text[i].start && pc < state.text[i].end) {
            return true;
        }
    }
    return false;
}

WEFT_TEXT static uintptr_t load(uintptr_t at) {
    return *(const volatile uintptr_t *)at;
}

/* Does a word of [from, to) lie in [low, high)? */
WEFT_TEXT static bool points_into(uintptr_t from, uintptr_t to, uintptr_t low,
                                  uintptr_t high) {
    const uintptr_t *end = (const uintptr_t *)to;
    uintptr_t size = high - low;
    for (const uintptr_t *at = (const uintptr_t *)from; at < end; at++) {
        if (WEFT_UNLIKELY(*at - low < size)) {
            return true;
        }
    }
    return false;
}

/* From the frame pointer up to the first frame of the task: only functions of
 * the section have called each other. The first frame is the runtime's, called
 * by runtime text itself, and ends the chain with 0. */
WEFT_TEXT static bool chain_is_good(uintptr_t fp, uintptr_t low,
                                    uintptr_t high) {
    bool at_runtime = false;
    for (;;) {
        if (fp < low || fp > high - 2 * WORD || fp % WORD != 0) {
            return false;
        }
        uintptr_t next = load(fp);
        uintptr_t caller = load(fp + WORD);
        if (in_runtime(caller)) {
            if (next == 0) {
                return true;
            }
            if (at_runtime) {
                return false;
            }
            at_runtime = true;
        } else if (at_runtime || !in_migratable(caller)) {
            return false;
        }
        low = fp + 2 * WORD;
        fp = next;
    }
}

/* The interrupted function may not have set its frame pointer up yet, or not
 * have it any more: its caller's address is then near the stack pointer. */
WEFT_TEXT static bool prologue_is_good(uintptr_t sp, uintptr_t high) {
    uintptr_t end = sp + PROLOGUE < high ? sp + PROLOGUE : high;
    for (uintptr_t at = sp; at < end; at += WORD) {
        if (in_other_text(load(at))) {
            return false;
        }
    }
    return true;
}

/* Registers, vector state, red zone and stack. */
WEFT_TEXT static bool is_thread_free(const struct weft_migrate_thread *self,
                                     const ucontext_t *frame, uintptr_t sp,
                                     uintptr_t high) {
    uintptr_t registers = (uintptr_t)frame->uc_mcontext.gregs;
    uintptr_t vectors = (uintptr_t)frame->uc_mcontext.fpregs;
    if (points_into(registers, registers + sizeof(frame->uc_mcontext.gregs),
                    self->low, self->high)) {
        return false;
    }
    if (vectors != 0) {
        const uint32_t *magic = (const uint32_t *)(vectors + MAGIC_AT);
        uint32_t size = magic[0] == MAGIC ? magic[1] : FXSAVE_SIZE;
        if (size > STATE_MAX ||
            points_into(vectors, vectors + (size & ~(WORD - 1U)), self->low,
                        self->high)) {
            return false;
        }
    }
    return !points_into(sp - RED_ZONE, high, self->low, self->high);
}

WEFT_TEXT bool weft_migrate_allowed(const struct weft_migrate_thread *self,
                                    const struct weft_interrupt *interrupt,
                                    const struct weft_migrate_stack *stack) {
    const ucontext_t *frame = interrupt->ucontext;
    uintptr_t sp = interrupt->sp;
    uintptr_t at = (uintptr_t)frame;
    uintptr_t high = stack->high & ~(uintptr_t)(WORD - 1);
    uint64_t mask = *(const uint64_t *)&frame->uc_sigmask;
    if (WEFT_ASAN || WEFT_TSAN || self->low == 0 || state.count < 0 ||
        !interrupt->direct || !in_migratable(interrupt->pc) ||
        mask != stack->mask) {
        return false;
    }
    if (sp % WORD != 0 || sp < stack->low + RED_ZONE || sp >= high ||
        high - sp > LIVE_MAX) {
        return false;
    }
    if (at < stack->low || at >= sp || at - stack->low < sp - at + HANDLER) {
        return false;
    }
    uintptr_t fp = (uintptr_t)frame->uc_mcontext.gregs[REG_RBP];
    return prologue_is_good(sp, high) && chain_is_good(fp, sp, high) &&
           is_thread_free(self, frame, sp, high);
}

WEFT_TEXT void weft_migrate_leave(const struct weft_migrate_thread *self,
                                  struct weft_interrupt *interrupt,
                                  struct weft_migrate_luggage *luggage) {
    weft_exceptions_take(self->exceptions, &luggage->exceptions);
    weft_signals_abandon(interrupt);
}

WEFT_TEXT void weft_migrate_arrive(struct weft_thread *thread,
                                   const struct weft_migrate_thread *self,
                                   struct weft_interrupt *interrupt,
                                   const struct weft_migrate_luggage *luggage) {
    ucontext_t *frame = interrupt->ucontext;
    weft_exceptions_put(self->exceptions, &luggage->exceptions);
    /* The kernel sets the alternate stack to what the frame says. */
    weft_syscall(SYS_sigaltstack, 0, (long)&frame->uc_stack, 0, 0, 0, 0);
    *self->error = interrupt->error;
    weft_signals_return(interrupt, thread);
}

static int note_text(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)size;
    (void)arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) {
            continue;
        }
        if (state.count == TEXTS) {
            state.count = -1;
            return 1;
        }
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        state.text[state.count++] =
            (struct range){start, start + segment->p_memsz};
    }
    return 0;
}

void weft_migrate_prepare(void) {
    state.count = 0;
    dl_iterate_phdr(note_text, NULL);
    weft_scrub_level = __builtin_cpu_supports("avx512f") ? WEFT_SCRUB_AVX512
                       : __builtin_cpu_supports("avx")   ? WEFT_SCRUB_AVX
                                                         : WEFT_SCRUB_SSE;
}

/* libc puts the thread-locals and the control block of a thread that it makes
 * at the upper end of its stack's mapping, and counts them as stack. */
void weft_migrate_thread_init(struct weft_migrate_thread *self) {
    pthread_attr_t attr;
    void *low;
    size_t size;
    *self = (struct weft_migrate_thread){
        .error = &errno, .exceptions = weft_exceptions_of_thread()};
    if (pthread_getattr_np(pthread_self(), &attr) != 0) {
        return;
    }
    if (pthread_attr_getstack(&attr, &low, &size) == 0) {
        uintptr_t block;
        __asm__("movq %%fs:0, %0" : "=r"(block));
        uintptr_t mine = (uintptr_t)self->error;
        self->low = (uintptr_t)low;
        self->high = (uintptr_t)low + size;
        if (block < self->low || block >= self->high || mine < self->low ||
            mine >= self->high) {
            self->low = 0; /* another libc, another layout */
        }
    }
    pthread_attr_destroy(&attr);
}

WEFT_TEXT void weft_migrate_scrub(void) {
    weft_scrub_registers();
}
