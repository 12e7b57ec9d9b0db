// SPDX-License-Identifier: MIT
// What C++ handles and what is on its way goes with the task, whatever thread
// it wakes on; and nobody finds there what another left.
#include "tests/exceptions.h"

#include <csetjmp>
#include <exception>

#include <atomic>
#include <cstdint>

#include <sys/syscall.h>
#include <unistd.h>

#include "tests/storm.h"
#include "weft/base/check.h"
#include "weft/sched/task.h"
#include "weft/sync/channel.h"
#include "weft/sync/mutex.h"

namespace {

constexpr std::uintptr_t kThrowers = 12, kOthers = 6;
constexpr unsigned kRounds = 50, kDepth = 4;

std::atomic<long> alive;      // exceptions that exist
std::atomic<int> moves_left;  // so many tasks shall wake elsewhere
struct weft_channel *there, *back;
struct weft_mutex mutex;

class Thrown {
   public:
    explicit Thrown(std::uintptr_t value) : value_(value) {
        alive.fetch_add(1, std::memory_order_relaxed);
    }
    Thrown(const Thrown &other) : value_(other.value_) {
        alive.fetch_add(1, std::memory_order_relaxed);
    }
    Thrown &operator=(const Thrown &) = delete;
    ~Thrown() {
        value_ = ~value_;
        alive.fetch_sub(1, std::memory_order_relaxed);
    }
    std::uintptr_t value() const {
        return value_;
    }

   private:
    std::uintptr_t value_;
};

long Thread() {
    return syscall(SYS_gettid);
}

void *Nap(void *arg) {
    usleep(20);
    return arg;
}

// As `how` says, by every kind of wait; several in a row make a move likely.
void Wait(unsigned how) {
    const long before = Thread();
    std::uintptr_t value = how;
    switch (how % 6) {
        case 0:
            weft_yield();
            weft_yield();
            break;
        case 1:
            WEFT_CHECK_OP(weft_sleep(how % 4 * 20 * WEFT_US), ==, 0);
            break;
        case 2:
            WEFT_CHECK_OP(weft_channel_send(there, &value), ==, 0);
            WEFT_CHECK_OP(weft_channel_recv(back, &value), ==, 0);
            break;
        case 3:
            weft_mutex_lock(&mutex);
            weft_yield();
            weft_mutex_unlock(&mutex);
            break;
        case 4:
            WEFT_CHECK_OP(weft_blocking(Nap, &value), ==, &value);
            break;
        default:  // the thread is kept for some time
            if (weft_pin_thread() == 0) {
                WEFT_CHECK_OP(weft_sleep(WEFT_US), ==, 0);
                weft_unpin_thread();
            }
            weft_yield();
    }
    if (Thread() != before) {
        moves_left.fetch_sub(1, std::memory_order_relaxed);
    }
}

void HaveNone() {
    WEFT_CHECK_OP(std::uncaught_exceptions(), ==, 0);
    WEFT_CHECK(std::current_exception() == nullptr);
}

// What the innermost catch has in hand.
std::uintptr_t InHand() {
    try {
        std::rethrow_exception(std::current_exception());
    } catch (const Thrown &thrown) {
        return thrown.value();
    }
}

void InCatch(std::uintptr_t me, unsigned round) {
    try {
        throw Thrown(me);
    } catch (const Thrown &thrown) {
        Wait(round);
        WEFT_CHECK_OP(thrown.value(), ==, me);
        WEFT_CHECK_OP(InHand(), ==, me);
    }
}

void Again(std::uintptr_t me, unsigned round) {
    try {
        try {
            throw Thrown(me);
        } catch (...) {
            Wait(round);
            throw;
        }
    } catch (const Thrown &thrown) {
        Wait(round + 1);
        WEFT_CHECK_OP(thrown.value(), ==, me);
    }
}

// Catches in catches: each has its own again when the inner one is through.
void Nested(std::uintptr_t me, unsigned depth) {
    try {
        throw Thrown(me * kDepth + depth);
    } catch (const Thrown &thrown) {
        Wait(depth);
        if (depth > 0) {
            Nested(me, depth - 1);
        }
        Wait(depth + 1);
        WEFT_CHECK_OP(thrown.value(), ==, me * kDepth + depth);
        WEFT_CHECK_OP(InHand(), ==, me * kDepth + depth);
    }
}

// While one exception is on its way, others are thrown and caught.
class Unwound {
   public:
    Unwound(std::uintptr_t me, int level) : me_(me), level_(level) {
    }
    ~Unwound() {
        WEFT_CHECK_OP(std::uncaught_exceptions(), ==, level_);
        Wait(static_cast<unsigned>(me_) + static_cast<unsigned>(level_));
        WEFT_CHECK_OP(std::uncaught_exceptions(), ==, level_);
        if (level_ < 3) {
            try {
                Unwound inner(me_, level_ + 1);
                throw Thrown(me_ + 1);
            } catch (const Thrown &thrown) {
                Wait(static_cast<unsigned>(me_));
                WEFT_CHECK_OP(thrown.value(), ==, me_ + 1);
            }
        }
        WEFT_CHECK_OP(std::uncaught_exceptions(), ==, level_);
    }

   private:
    std::uintptr_t me_;
    int level_;
};

void Unwinding(std::uintptr_t me, unsigned) {
    try {
        Unwound unwound(me, 1);
        throw Thrown(me);
    } catch (const Thrown &thrown) {
        WEFT_CHECK_OP(std::uncaught_exceptions(), ==, 0);
        WEFT_CHECK_OP(thrown.value(), ==, me);
    }
}

struct Message {
    std::exception_ptr exception;
    std::uintptr_t value;
};

void *ThrowAnothers(void *arg) {
    const Message *message = static_cast<Message *>(arg);
    try {
        std::rethrow_exception(message->exception);
    } catch (const Thrown &thrown) {
        Wait(static_cast<unsigned>(message->value));
        WEFT_CHECK_OP(thrown.value(), ==, message->value);
    }
    HaveNone();
    return nullptr;
}

// One exception in two tasks' hands at once.
void Anothers(std::uintptr_t me, unsigned round) {
    struct weft_task *other;
    Message message = {nullptr, me + round};
    try {
        throw Thrown(me + round);
    } catch (const Thrown &thrown) {
        message.exception = std::current_exception();
        WEFT_CHECK_OP(weft_spawn(&other, ThrowAnothers, &message, nullptr), ==,
                      0);
        Wait(round);
        WEFT_CHECK_OP(thrown.value(), ==, me + round);
    }
    HaveNone();
    WEFT_CHECK_OP(weft_join(other, nullptr), ==, 0);
}

void (*round_of)(std::uintptr_t, unsigned);

void *TakePart(void *arg) {
    const std::uintptr_t me = reinterpret_cast<std::uintptr_t>(arg);
    for (unsigned i = 0;
         i < kRounds || moves_left.load(std::memory_order_relaxed) > 0; i++) {
        HaveNone();
        round_of(me, i + static_cast<unsigned>(me));
        HaveNone();
        STORM_CHECK();
    }
    return nullptr;
}

// Everybody else: has nothing in hand, or something that is over soon.
void *Answer(void *) {
    std::uintptr_t value;
    while (weft_channel_recv(there, &value) == 0) {
        HaveNone();
        try {
            throw Thrown(0);
        } catch (const Thrown &) {
        }
        weft_yield();
        HaveNone();
        WEFT_CHECK_OP(weft_channel_send(back, &value), ==, 0);
    }
    HaveNone();
    return nullptr;
}

int moves_needed;

void Run(void (*round)(std::uintptr_t, unsigned)) {
    struct weft_task *throwers[kThrowers], *others[kOthers];
    WEFT_CHECK_OP(weft_channel_new(&there, 0, sizeof(std::uintptr_t)), ==, 0);
    WEFT_CHECK_OP(weft_channel_new(&back, 4, sizeof(std::uintptr_t)), ==, 0);
    round_of = round;
    moves_left.store(moves_needed);
    for (std::uintptr_t i = 0; i < kOthers; i++) {
        WEFT_CHECK_OP(weft_spawn(&others[i], Answer, nullptr, nullptr), ==, 0);
    }
    for (std::uintptr_t i = 0; i < kThrowers; i++) {
        WEFT_CHECK_OP(weft_spawn(&throwers[i], TakePart,
                                 reinterpret_cast<void *>(i), nullptr),
                      ==, 0);
    }
    for (struct weft_task *task : throwers) {
        WEFT_CHECK_OP(weft_join(task, nullptr), ==, 0);
    }
    WEFT_CHECK_OP(weft_channel_close(there), ==, 0);
    for (struct weft_task *task : others) {
        WEFT_CHECK_OP(weft_join(task, nullptr), ==, 0);
    }
    weft_channel_free(there);
    weft_channel_free(back);
    WEFT_CHECK_OP(alive.load(), ==, 0L);
}

constexpr int kJumps = 20;
const Thrown *volatile left_behind[kJumps];  // so that it is no leak

void *JumpOut(void *index) {
    jmp_buf out;
    if (setjmp(out) == 0) {
        try {
            throw Thrown(1);
        } catch (const Thrown &thrown) {
            left_behind[reinterpret_cast<std::uintptr_t>(index)] = &thrown;
            std::longjmp(out, 1);
        }
    }
    return nullptr;
}

void *Look(void *arg) {
    HaveNone();
    return arg;
}

}  // namespace

void exceptions_need_moves(int moves) {
    moves_needed = moves;
}

void wait_in_catch(void *) {
    Run(InCatch);
}

void wait_and_throw_again(void *) {
    Run(Again);
}

void wait_in_nested_catches(void *) {
    Run([](std::uintptr_t me, unsigned round) { Nested(me, round % kDepth); });
}

void wait_while_unwinding(void *) {
    Run(Unwinding);
}

void wait_with_anothers_exception(void *) {
    Run(Anothers);
}

void wait_in_all_ways(void *) {
    Run([](std::uintptr_t me, unsigned round) {
        constexpr void (*kinds[])(std::uintptr_t, unsigned) = {
            InCatch, Again, Unwinding, Anothers};
        kinds[(me + round) % 4](me, round);
    });
}

void jump_out_of_catch(void *) {
    for (std::uintptr_t i = 0; i < kJumps; i++) {
        struct weft_task *task;
        WEFT_CHECK_OP(weft_spawn(&task, i % 2 == 0 ? JumpOut : Look,
                                 reinterpret_cast<void *>(i), nullptr),
                      ==, 0);
        WEFT_CHECK_OP(weft_join(task, nullptr), ==, 0);
        HaveNone();
    }
    alive.store(0);
}
