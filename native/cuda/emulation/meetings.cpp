// Where the threads of a warp or of a block meet.
#include <cstring>

#include "cuda/emulation/scheduler.h"

namespace fcdd::cuda::emulation {
namespace {

bool same(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

// Two fibers meet at different places.
std::string divergence(const Thread& thread, const Meeting& meeting, const char* what,
                       const std::source_location& site) {
  return "threads diverge: " + name_of(thread) + " in " + what + " at " + place(site) + ", others in " +
         meeting.what + " at " + place(meeting.site);
}

}  // namespace

void barrier(std::source_location site) {
  Scheduler& s = scheduler();
  Thread& thread = self();
  Meeting& meeting = s.barrier;
  if (s.ended > 0) FCDD_STOP("sync_block at " + place(site) + " after threads have ended");
  if (meeting.arrived == 0) meeting.what = "sync_block", meeting.site = site;
  if (!same(meeting.site, site)) FCDD_STOP(divergence(thread, meeting, "sync_block", site));
  if (++meeting.arrived < s.count) return wait(thread, "sync_block", site);
  meeting.arrived = 0;
  for (unsigned i = 0; i < s.count; i++) {
    if (i != thread.number) s.ready.add(i);
  }
}

void rendezvous(const char* what, const void* operand, WarpWork work, std::source_location site) {
  Scheduler& s = scheduler();
  Thread& thread = self();
  const unsigned warp = thread.number / 32, first = warp * 32;
  Meeting& meeting = s.warps[warp];
  if (first + 32 > s.count)
    FCDD_STOP(std::string(what) + " at " + place(site) + " in a warp of fewer than 32 threads");
  if (meeting.arrived == 0) {
    for (unsigned i = first; i < first + 32; i++) {
      if (s.threads[i].ended) FCDD_STOP(std::string(what) + " at " + place(site) + " after lanes have ended");
    }
    meeting.what = what, meeting.site = site, meeting.work = work;
  }
  if (meeting.work != work || !same(meeting.site, site)) FCDD_STOP(divergence(thread, meeting, what, site));
  thread.operand = operand;
  if (++meeting.arrived < 32) return wait(thread, what, site);
  const void* operands[32];
  for (unsigned lane = 0; lane < 32; lane++) operands[lane] = s.threads[first + lane].operand;
  work(operands);
  meeting.arrived = 0;
  s.ready.add_lanes(warp, ~(uint32_t{1} << thread.number % 32));
}

}  // namespace fcdd::cuda::emulation
