// SPDX-License-Identifier: MIT
module weft/bench/peers

go 1.22
