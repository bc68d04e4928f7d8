#include "common/base/limits.h"

const struct pd_limits pd_limits_district = {
    .persons = 262144,
    .sites = 1024,
    .teams = 4096,
    .orders = 16384,
    .slots = 64,
    .offers = 131072,
    .offers_each = 16,
    .asked = 524288,
    .bookings = 65536,
    .keys = 1048576,
    .holds = 16384,
    .messages = 131072,
};

const struct pd_limits pd_limits_small = {
    .persons = 512,
    .sites = 32,
    .teams = 32,
    .orders = 64,
    .slots = 8,
    .offers = 256,
    .offers_each = 4,
    .asked = 512,
    .bookings = 128,
    .keys = 4096,
    .holds = 32,
    .messages = 1024,
};
