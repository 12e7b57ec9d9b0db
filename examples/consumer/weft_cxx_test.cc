/* SPDX-License-Identifier: MIT */
/* weft from C++: a task throws and catches, and another is joined meanwhile. */
#include <cstdio>
#include <stdexcept>
#include <string>

#include "weft/weft.h"

namespace {

void *Throw(void *arg) {
    auto *text = static_cast<std::string *>(arg);
    try {
        weft_sleep(WEFT_MS);
        throw std::runtime_error("caught");
    } catch (const std::exception &e) {
        *text = e.what(); /* no waiting in here: docs/coming_from.md */
    }
    weft_yield();
    return arg;
}

void First(void *arg) {
    struct weft_task *task = nullptr;
    if (weft_spawn(&task, Throw, arg, nullptr) == 0) {
        weft_join(task, nullptr);
    }
}

}  // namespace

int main() {
    std::string text;
    int error = weft_run(nullptr, First, &text);
    std::printf("%s\n", text.c_str());
    return error == 0 && text == "caught" ? 0 : 1;
}
