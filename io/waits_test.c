/* SPDX-License-Identifier: MIT */
/* What all calls that move bytes have in common in waiting, one table of them
 * all: deadlines that have passed and at the limit, cancellation before and
 * during the wait, the descriptor closed under it; and that nothing is lost by
 * any of these: the next call is let go by what lets go of one. (Accepting,
 * connecting, signals, processes and names have tests of their own.) */
#include "weft/io/message.h"
#include "weft/io/testing.h"
#include "weft/io/transfers.h"

static int ends[2];
static const struct io_transfer *transfer;
static _Atomic bool begin;

static void *call_until(void *deadline) {
    return (void *)transfer->call(ends[0], *(uint64_t *)deadline);
}

static void *call_when_told(void *arg) {
    (void)arg;
    while (!atomic_load_explicit(&begin, memory_order_acquire)) {
        weft_yield();
    }
    return (void *)transfer->call(ends[0], WEFT_FOREVER);
}

static struct weft_task *start_to_wait(uint64_t *deadline) {
    struct weft_task *task = start(call_until, deadline);
    await_busy(ends[0], transfer->sends ? WEFT_WRITING : WEFT_READING);
    let_them_wait();
    return task;
}

/* One call waits and is let go. */
static void is_let_go(uint64_t deadline) {
    io_transfer_prepare(transfer, ends);
    struct weft_task *task = start_to_wait(&deadline);
    io_transfer_let_go(transfer, ends);
    WEFT_CHECK_OP(finish(task), >=, 0L);
}

static void for_each(void (*check)(void)) {
    for (int i = 0; i < io_transfer_count; i++) {
        transfer = &io_transfers[i];
        EXPECT(weft_socketpair(transfer->type, ends), 0);
        io_transfer_prepare(transfer, ends);
        check();
        EXPECT(weft_close(ends[1]), 0);
    }
}

static void times_out(void) {
    EXPECT(transfer->call(ends[0], 0), -ETIMEDOUT);
    EXPECT(transfer->call(ends[0], 1), -ETIMEDOUT);
    EXPECT(transfer->call(ends[0], weft_now()), -ETIMEDOUT);
    uint64_t deadline = weft_now() + 200 * WEFT_US;
    EXPECT(transfer->call(ends[0], deadline), -ETIMEDOUT);
    WEFT_CHECK(weft_now() >= deadline);
    is_let_go(WEFT_FOREVER - 1);
    is_let_go(soon());
    EXPECT(weft_close(ends[0]), 0);
}

IO_TEST(a_deadline_may_have_passed_or_lie_at_the_limit) {
    (void)arg;
    for_each(times_out);
}

static void is_cancelled(void) {
    uint64_t deadline = WEFT_FOREVER;
    struct weft_task *task = start_to_wait(&deadline);
    weft_cancel(task);
    EXPECT(finish(task), -ECANCELED);
    atomic_store_explicit(&begin, false, memory_order_relaxed);
    task = start(call_when_told, NULL);
    weft_cancel(task);
    /* Release: pairs with the acquire in call_when_told(). */
    atomic_store_explicit(&begin, true, memory_order_release);
    EXPECT(finish(task), -ECANCELED);
    is_let_go(WEFT_FOREVER);
    EXPECT(weft_close(ends[0]), 0);
}

IO_TEST(a_cancelled_task_does_not_wait) {
    (void)arg;
    for_each(is_cancelled);
}

static void is_closed(void) {
    uint64_t deadline = WEFT_FOREVER;
    struct weft_task *task = start_to_wait(&deadline);
    EXPECT(weft_close(ends[0]), 0);
    EXPECT(finish(task), -EBADF);
    EXPECT(transfer->call(ends[0], WEFT_FOREVER), -EBADF);
}

IO_TEST(closing_wakes_who_waits) {
    (void)arg;
    for_each(is_closed);
}

/* What there is room for, or lies there, needs no wait. */
static void *does_what_it_can(void *arg) {
    (void)arg;
    while (!atomic_load_explicit(&begin, memory_order_acquire)) {
        weft_yield();
    }
    return (void *)transfer->call(ends[0], 0);
}

static void is_done_though_late(void) {
    io_transfer_let_go(transfer, ends);
    WEFT_CHECK_OP(transfer->call(ends[0], 0), >=, (ssize_t)0);
    io_transfer_prepare(transfer, ends);
    io_transfer_let_go(transfer, ends);
    atomic_store_explicit(&begin, false, memory_order_relaxed);
    struct weft_task *task = start(does_what_it_can, NULL);
    weft_cancel(task);
    /* Release: pairs with the acquire in does_what_it_can(). */
    atomic_store_explicit(&begin, true, memory_order_release);
    WEFT_CHECK_OP(finish(task), >=, 0L);
    EXPECT(weft_close(ends[0]), 0);
}

IO_TEST(what_needs_no_wait_is_done_however_late_or_cancelled) {
    (void)arg;
    for_each(is_done_though_late);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_may_have_passed_or_lie_at_the_limit),
        cmocka_unit_test(a_cancelled_task_does_not_wait),
        cmocka_unit_test(closing_wakes_who_waits),
        cmocka_unit_test(what_needs_no_wait_is_done_however_late_or_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
