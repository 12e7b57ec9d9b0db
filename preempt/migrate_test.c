/* SPDX-License-Identifier: MIT */
/* Each rule of weft_migrate_allowed(), one at a time, on a stack and a frame
 * that are made by hand: what is good is allowed, and no longer with one word
 * of it changed. */
#define _GNU_SOURCE /* names of registers */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#include "migrate.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"

#define MIGRATABLE __attribute__((section("weft_migratable"), noinline))

MIGRATABLE static int good_function(int x) {
    return x * 3 + 1;
}

WEFT_NOINLINE static int other_function(int x) {
    return x * 5 + 1;
}

WEFT_TEXT static int runtime_function(int x) {
    return x * 7 + 1;
}

enum { WORDS = 65536, VECTORS = 512 + 64 + 256 };

/* A task's stack: interrupted at word `sp`, three frames above it. */
static struct scene {
    uintptr_t stack[WORDS];
    _Alignas(64) char vectors[VECTORS];
    struct weft_interrupt interrupt;
    struct weft_migrate_stack bounds;
    struct weft_migrate_thread thread;
    uintptr_t *sp, *frames[3];
} scene;

/* The kernel's frame, below on the same stack. */
#define FRAME ((ucontext_t *)(void *)&scene.stack[WORDS / 8 * 5])

static uintptr_t inside(int (*fn)(int)) {
    return (uintptr_t)fn + 4;
}

#if defined(__x86_64__) && !WEFT_ASAN && !WEFT_TSAN

static void set_sp(uintptr_t *sp) {
    scene.sp = sp;
    scene.interrupt.sp = (uintptr_t)sp;
    FRAME->uc_mcontext.gregs[REG_RSP] = (greg_t)(uintptr_t)sp;
}

static void set_vector_size(uint32_t size) {
    uint32_t magic[2] = {0x46505853, size};
    memcpy(scene.vectors + 464, magic, sizeof magic);
}

static void set_frame(int i, uintptr_t *at, uintptr_t next, uintptr_t caller) {
    scene.frames[i] = at;
    at[0] = next;
    at[1] = caller;
}

/* good_function(), called by good_function(), called by runtime_function(),
 * called by runtime_function(). */
static void make_good_scene(void) {
    uintptr_t *top = &scene.stack[WORDS - 20];
    memset(&scene, 0, sizeof scene);
    weft_migrate_prepare();
    weft_migrate_thread_init(&scene.thread);
    scene.bounds.low = (uintptr_t)scene.stack;
    scene.bounds.high = (uintptr_t)(scene.stack + WORDS);
    scene.bounds.mask = 5;
    *(uint64_t *)&FRAME->uc_sigmask = 5;
    set_frame(2, top, 0, inside(runtime_function));
    set_frame(1, top - 30, (uintptr_t)top, inside(runtime_function));
    set_frame(0, top - 60, (uintptr_t)(top - 30), inside(good_function));
    FRAME->uc_mcontext.gregs[REG_RBP] = (greg_t)(uintptr_t)scene.frames[0];
    FRAME->uc_mcontext.fpregs = (fpregset_t)(void *)scene.vectors;
    set_vector_size(VECTORS);
    set_sp(top - 80);
    scene.interrupt.ucontext = FRAME;
    scene.interrupt.pc = inside(good_function);
    scene.interrupt.direct = true;
}

static bool allowed(void) {
    return weft_migrate_allowed(&scene.thread, &scene.interrupt, &scene.bounds);
}

static void the_good_scene_is_allowed(void) {
    make_good_scene();
    WEFT_CHECK(scene.thread.low != 0);
    WEFT_CHECK(allowed());
}

static void only_from_the_section(void) {
    make_good_scene();
    scene.interrupt.pc = inside(other_function);
    WEFT_CHECK(!allowed());
    scene.interrupt.pc = inside(runtime_function);
    WEFT_CHECK(!allowed());
    scene.interrupt.pc = (uintptr_t)memset;
    WEFT_CHECK(!allowed());
}

static void only_on_its_own_stack(void) {
    make_good_scene();
    scene.bounds.low = scene.interrupt.sp + 8;
    WEFT_CHECK(!allowed());
    make_good_scene();
    scene.bounds.high = scene.interrupt.sp;
    WEFT_CHECK(!allowed());
    make_good_scene();
    set_sp((uintptr_t *)((char *)scene.sp + 1));
    WEFT_CHECK(!allowed());
    make_good_scene();
    set_sp(&scene.stack[15]); /* no room for a red zone */
    WEFT_CHECK(!allowed());
}

static void only_a_stack_of_a_bounded_depth(void) {
    make_good_scene();
    set_sp(&scene.stack[WORDS - 65536 / 8]);
    WEFT_CHECK(allowed());
    set_sp(scene.sp - 1);
    WEFT_CHECK(!allowed());
}

static void only_with_room_for_another_frame(void) {
    make_good_scene();
    uintptr_t need = scene.interrupt.sp - (uintptr_t)FRAME + 2048;
    scene.bounds.low = (uintptr_t)FRAME - need;
    WEFT_CHECK(allowed());
    scene.bounds.low += 8;
    WEFT_CHECK(!allowed());
    make_good_scene();
    scene.bounds.low = (uintptr_t)FRAME + 8;
    WEFT_CHECK(!allowed());
}

static void only_called_by_the_kernel(void) {
    make_good_scene();
    scene.interrupt.direct = false;
    WEFT_CHECK(!allowed());
}

static void only_with_the_usual_mask(void) {
    make_good_scene();
    scene.bounds.mask = 4;
    WEFT_CHECK(!allowed());
}

static void only_called_by_the_section(void) {
    make_good_scene();
    scene.frames[0][1] = inside(other_function);
    WEFT_CHECK(!allowed());
    scene.frames[0][1] = (uintptr_t)memset;
    WEFT_CHECK(!allowed());
    scene.frames[0][1] = 0;
    WEFT_CHECK(!allowed());
}

static void the_chain_ends_in_the_runtime(void) {
    make_good_scene();
    scene.frames[1][1] = inside(other_function);
    WEFT_CHECK(!allowed());
    make_good_scene();
    scene.frames[2][1] = inside(other_function);
    WEFT_CHECK(!allowed());
    make_good_scene(); /* the runtime called somebody who called on */
    scene.frames[2][1] = inside(good_function);
    WEFT_CHECK(!allowed());
    make_good_scene();
    scene.frames[2][0] = (uintptr_t)(scene.frames[2] + 2);
    WEFT_CHECK(!allowed());
}

static void a_chain_that_is_none_is_refused(void) {
    make_good_scene();
    scene.frames[1][0] = (uintptr_t)scene.frames[0]; /* round and round */
    WEFT_CHECK(!allowed());
    make_good_scene();
    scene.frames[0][0] = (uintptr_t)scene.frames[0];
    WEFT_CHECK(!allowed());
    make_good_scene();
    scene.frames[0][0] += 4;
    WEFT_CHECK(!allowed());
    make_good_scene();
    scene.frames[0][0] = (uintptr_t)&scene; /* readable, but no stack */
    scene.bounds.low += 8;
    WEFT_CHECK(!allowed());
    make_good_scene();
    FRAME->uc_mcontext.gregs[REG_RBP] = 0;
    WEFT_CHECK(!allowed());
    make_good_scene();
    FRAME->uc_mcontext.gregs[REG_RBP] =
        (greg_t)(uintptr_t)(scene.stack + WORDS - 1);
    WEFT_CHECK(!allowed());
}

/* Before a frame is there, the caller is the one near the stack pointer. */
static void a_caller_without_a_frame_is_seen(void) {
    for (int i = 0; i < 16; i++) {
        make_good_scene();
        scene.sp[i] = inside(other_function);
        WEFT_CHECK(!allowed());
        scene.sp[i] = (uintptr_t)memset + 4;
        WEFT_CHECK(!allowed());
        scene.sp[i] = inside(good_function);
        WEFT_CHECK(allowed());
    }
}

static void every_word_of_the_stack_is_looked_at(void) {
    make_good_scene();
    for (uintptr_t *at = scene.sp - 16; at < scene.stack + WORDS; at++) {
        uintptr_t before = *at;
        *at = (uintptr_t)scene.thread.error;
        WEFT_CHECK(!allowed());
        *at = before;
    }
    scene.sp[-17] = (uintptr_t)scene.thread.error; /* below the red zone */
    WEFT_CHECK(allowed());
}

static void every_register_is_looked_at(void) {
    const int size = (int)(sizeof FRAME->uc_mcontext.gregs / 8);
    for (int i = 0; i < size; i++) {
        make_good_scene();
        FRAME->uc_mcontext.gregs[i] = (greg_t)(uintptr_t)scene.thread.error;
        WEFT_CHECK(!allowed());
    }
    for (size_t i = 0; i + 8 <= VECTORS; i += 8) {
        if (i != 464) {
            make_good_scene();
            memcpy(scene.vectors + i, &scene.thread.error, 8);
            WEFT_CHECK(!allowed());
        }
    }
}

static void a_state_of_a_strange_size_is_refused(void) {
    make_good_scene();
    set_vector_size(1 << 20);
    WEFT_CHECK(!allowed());
}

static void the_whole_thread_is_off_limits(void) {
    static _Thread_local int mine;
    int local;
    make_good_scene();
    scene.stack[WORDS - 10] = (uintptr_t)&mine;
    WEFT_CHECK(!allowed());
    scene.stack[WORDS - 10] = (uintptr_t)&local;
    WEFT_CHECK(!allowed());
    scene.stack[WORDS - 10] = (uintptr_t)pthread_self();
    WEFT_CHECK(!allowed());
    scene.stack[WORDS - 10] = scene.thread.low - 1;
    WEFT_CHECK(allowed());
    scene.stack[WORDS - 10] = scene.thread.high;
    WEFT_CHECK(allowed());
}

static void an_unknown_thread_is_refused(void) {
    make_good_scene();
    scene.thread.low = 0;
    WEFT_CHECK(!allowed());
}

static void scrubbing_leaves_nothing(void) {
    uint64_t general[8], vectors[2] = {1, 1};
    register uint64_t *kept __asm__("r12") = vectors;
    weft_migrate_prepare();
    __asm__ volatile(
        "movq $-1, %%r8\n movq %%r8, %%rcx\n movq %%r8, %%r11\n"
        "movq %%r8, %%xmm0\n movq %%r8, %%xmm15\n"
        "call weft_migrate_scrub\n"
        "movq %%rcx, 0(%0)\n movq %%rdx, 8(%0)\n movq %%rsi, 16(%0)\n"
        "movq %%rdi, 24(%0)\n movq %%r8, 32(%0)\n movq %%r9, 40(%0)\n"
        "movq %%r10, 48(%0)\n movq %%r11, 56(%0)\n"
        "movq %%xmm0, 0(%1)\n movq %%xmm15, 8(%1)\n"
        :
        : "b"(general), "r"(kept)
        : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0",
          "xmm15", "memory");
    for (int i = 0; i < 8; i++) {
        WEFT_CHECK_OP(general[i], ==, 0UL);
    }
    WEFT_CHECK_OP(vectors[0], ==, 0UL);
    WEFT_CHECK_OP(vectors[1], ==, 0UL);
}

/* libc's first thread has its thread-locals elsewhere; so each test runs on a
 * thread that is like a worker's. */
static void *run_body(void *body) {
    ((void (*)(void))(uintptr_t)body)();
    return NULL;
}

static void on_a_thread(void **state) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_body, *state), 0);
    pthread_join(thread, NULL);
}

#define ON_A_THREAD(body) \
    { #body, on_a_thread, NULL, NULL, (void *)(uintptr_t)(body) }

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_A_THREAD(the_good_scene_is_allowed),
        ON_A_THREAD(only_from_the_section),
        ON_A_THREAD(only_on_its_own_stack),
        ON_A_THREAD(only_a_stack_of_a_bounded_depth),
        ON_A_THREAD(only_with_room_for_another_frame),
        ON_A_THREAD(only_called_by_the_kernel),
        ON_A_THREAD(only_with_the_usual_mask),
        ON_A_THREAD(only_called_by_the_section),
        ON_A_THREAD(the_chain_ends_in_the_runtime),
        ON_A_THREAD(a_chain_that_is_none_is_refused),
        ON_A_THREAD(a_caller_without_a_frame_is_seen),
        ON_A_THREAD(every_word_of_the_stack_is_looked_at),
        ON_A_THREAD(every_register_is_looked_at),
        ON_A_THREAD(a_state_of_a_strange_size_is_refused),
        ON_A_THREAD(the_whole_thread_is_off_limits),
        ON_A_THREAD(an_unknown_thread_is_refused),
        ON_A_THREAD(scrubbing_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else /* another CPU, or a sanitizer: nothing is ever allowed */

static void nothing_is_allowed(void **state) {
    scene.interrupt.ucontext = FRAME;
    scene.interrupt.pc = inside(good_function) + inside(other_function) +
                         inside(runtime_function);
    assert_false(
        weft_migrate_allowed(&scene.thread, &scene.interrupt, &scene.bounds));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
