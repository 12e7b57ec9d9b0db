// SPDX-License-Identifier: MIT
// What C++ handles and what is on its way stand in thread-locals: a pinned task
// may wait meanwhile, and finds its own again.
#include "tests/pin_throw.h"

#include <exception>

namespace {

struct WaitsAtTheEnd {
    void (*wait)(void *);
    void *arg;
    bool *good;
    ~WaitsAtTheEnd() {
        int before = std::uncaught_exceptions();
        wait(arg);
        *good = *good && before == 1 && std::uncaught_exceptions() == 1;
    }
};

}  // namespace

int pin_throw(int value, void (*wait)(void *), void *arg) {
    bool good = true;
    try {
        try {
            throw value;
        } catch (int) {
            wait(arg);
            throw;  // the one that is being handled: this task's
        }
    } catch (int thrown) {
        good = good && thrown == value;
    }
    try {
        WaitsAtTheEnd last{wait, arg, &good};
        throw value + 1;
    } catch (int thrown) {
        good = good && thrown == value + 1;
    }
    return good ? 1 : 0;
}
