/* SPDX-License-Identifier: MIT */
/* bazel run -c opt //demo_http -- --help */
#include "weft/demo_http/program.h"

int main(int argc, char **argv) {
    return http_main(argc, argv);
}
