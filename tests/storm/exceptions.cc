// SPDX-License-Identifier: MIT
// C++ exceptions: thrown through frames with destructors, caught, thrown again,
// carried by a pointer; and tasks that wait meanwhile. What is being caught is
// the thread's for C++, and goes with the task.
#include <exception>
#include <stdexcept>
#include <string>

#include "tests/storm/kind.h"
#include "weft/base/check.h"
#include "weft/sched/task.h"

namespace {

struct Falling {
    explicit Falling(int *count) : count_(count) {
    }
    ~Falling() {
        ++*count_;
    }
    int *count_;
};

__attribute__((noinline)) void Fall(unsigned depth, int number, int *count) {
    Falling falling(count);
    if (depth == 0) {
        throw std::runtime_error("number " + std::to_string(number));
    }
    Fall(depth - 1, number, count);
    storm_work(1);
}

// Throws inside a catch, and again what it caught.
void Nest(int number) {
    int destroyed = 0;
    try {
        Fall(2, number, &destroyed);
    } catch (const std::exception &) {
        storm_work(200);
        try {
            throw number;
        } catch (int inner) {
            storm_work(200);
            WEFT_CHECK_OP(inner, ==, number);
        }
        WEFT_CHECK_OP(destroyed, ==, 3);
        throw;
    }
}

void ThrowAndCatch(struct storm_task *self) {
    const int number = static_cast<int>(self->index);
    const std::string expected = "number " + std::to_string(number);
    std::exception_ptr kept;
    int destroyed = 0;
    const unsigned depth = storm_random(self) % 8;
    WEFT_CHECK_OP(std::uncaught_exceptions(), ==, 0);
    try {
        Fall(depth, number, &destroyed);
        WEFT_CHECK(!"thrown");
    } catch (const std::runtime_error &error) {
        storm_work(300);
        WEFT_CHECK(error.what() == expected);
        kept = std::current_exception();
    }
    WEFT_CHECK_OP(destroyed, ==, static_cast<int>(depth) + 1);
    bool again = false;
    try {
        std::rethrow_exception(kept);
    } catch (const std::exception &error) {
        WEFT_CHECK(error.what() == expected);
        again = true;
    }
    WEFT_CHECK(again);
    try {
        Nest(number);
        WEFT_CHECK(!"thrown");
    } catch (const std::exception &error) {
        storm_work(200);
        WEFT_CHECK(error.what() == expected);
    }
    WEFT_CHECK_OP(std::uncaught_exceptions(), ==, 0);
}

struct Waiting {
    Waiting() = default;
    ~Waiting() {
        WEFT_CHECK_OP(std::uncaught_exceptions(), ==, 1);
        weft_yield();
        WEFT_CHECK_OP(std::uncaught_exceptions(), ==, 1);
    }
};

void WaitAndCatch(struct storm_task *self) {
    const uint64_t number = self->index + self->rounds;
    try {
        try {
            Waiting waiting;
            storm_work(200);
            throw number;
        } catch (uint64_t inner) {
            WEFT_CHECK_OP(inner, ==, number);
            storm_work(200);
            if (self->rounds % 8 == 0) {
                WEFT_CHECK_OP(weft_sleep(30 * WEFT_US), ==, 0);
            } else {
                weft_yield();
            }
            WEFT_CHECK_OP(inner, ==, number);
            throw;
        }
    } catch (uint64_t outer) {
        weft_yield();
        WEFT_CHECK_OP(outer, ==, number);
    }
    WEFT_CHECK_OP(std::uncaught_exceptions(), ==, 0);
    WEFT_CHECK(std::current_exception() == nullptr);
}

}  // namespace

STORM_KIND(exceptions, ThrowAndCatch, nullptr, nullptr);
STORM_KIND(exceptions_wait, WaitAndCatch, nullptr, nullptr);
