/* fake_bus - common/io/bus.h over frames in memory: what a target puts in is received, what is sent
 * goes to a function of the target. */
#ifndef PD_TESTS_FUZZ_FAKE_BUS_H
#define PD_TESTS_FUZZ_FAKE_BUS_H

#include "common/io/bus.h"

/* The next message that any socket receives; frames are borrowed until it was received.  More than
 * PD_BUS_FRAMES: received as PD_EBOUNDS. */
void fake_bus_put(const struct pd_frame *frames, size_t count);

/* Whom sends go to; NULL: nobody, and they fail. */
typedef void fake_bus_fn(const struct pd_frame *frames, size_t count);
void fake_bus_sends_to(fake_bus_fn *sent);

/* Call what watches this socket.  Nothing if nobody does. */
void fake_bus_ready(void *socket);

#endif
