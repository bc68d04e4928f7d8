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
    .credentials = 262144,
    .credentials_each = 16,
    .blocks = 65536,
    .blocks_each = 32,
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
    .credentials = 96,
    .credentials_each = 6,
    .blocks = 48,
    .blocks_each = 4,
    .messages = 1024,
};
