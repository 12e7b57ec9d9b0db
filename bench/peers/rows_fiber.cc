/* SPDX-License-Identifier: MIT */
/* Boost.Fiber's side of bench/compare: rows_fiber ROW... prints "NAME VALUE
 * UNIT" lines. One thread, round robin, which is its fastest scheduler; stacks
 * come from its pool and are not guarded; a new fiber is posted, not entered.
 */
#include <boost/fiber/all.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

/* The median of seven times of f() in ns, after one that warms up. */
template <typename F>
double Median(F f) {
    std::vector<double> times;
    f();
    for (int i = 0; i < 7; i++) {
        auto begin = Clock::now();
        f();
        times.push_back(
            std::chrono::duration<double, std::nano>(Clock::now() - begin)
                .count());
    }
    std::sort(times.begin(), times.end());
    return times[3];
}

boost::fibers::pooled_fixedsize_stack stacks(64 * 1024);

template <typename F>
boost::fibers::fiber Post(F f) {
    return boost::fibers::fiber(boost::fibers::launch::post, std::allocator_arg,
                                stacks, f);
}

double Yield(int tasks) {
    bool stop = false;
    std::vector<boost::fibers::fiber> others;
    for (int i = 1; i < tasks; i++) {
        others.push_back(Post([&stop] {
            while (!stop) {
                boost::this_fiber::yield();
            }
        }));
    }
    int rounds = 2000000 / tasks;
    double ns = Median([rounds] {
        for (int i = 0; i < rounds; i++) {
            boost::this_fiber::yield();
        }
    });
    stop = true;
    for (auto &fiber : others) {
        fiber.join();
    }
    return ns / (static_cast<double>(rounds) * tasks);
}

double SpawnJoin() {
    std::vector<boost::fibers::fiber> batch(100);
    return Median([&batch] {
               for (int i = 0; i < 2000; i++) {
                   for (auto &fiber : batch) {
                       fiber = Post([] {});
                   }
                   for (auto &fiber : batch) {
                       fiber.join();
                   }
               }
           }) /
           200000;
}

double Channel() {
    boost::fibers::unbuffered_channel<int> there, back;
    auto echo = Post([&there, &back] {
        for (int value : there) {
            back.push(value);
        }
    });
    double ns = Median([&there, &back] {
        for (int i = 0; i < 200000; i++) {
            there.push(i);
            back.value_pop();
        }
    });
    there.close();
    echo.join();
    return ns / 200000;
}

}  // namespace

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        double ns;
        if (strcmp(argv[i], "yield_2") == 0) {
            ns = Yield(2);
        } else if (strcmp(argv[i], "yield_1000") == 0) {
            ns = Yield(1000);
        } else if (strcmp(argv[i], "spawn_join") == 0) {
            ns = SpawnJoin();
        } else if (strcmp(argv[i], "channel") == 0) {
            ns = Channel();
        } else {
            fprintf(stderr, "rows_fiber: no row %s\n", argv[i]);
            return 2;
        }
        printf("%s %.4f ns\n", argv[i], ns);
    }
    return 0;
}
