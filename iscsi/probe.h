// Probe: what a LUN is, what it can do, what it holds and whether Holdfast can use it, with reasons.
// Reads only, unless an exercise is asked for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "iscsi/lun.h"
#include "iscsi/signatures.h"

namespace holdfast::scsi {

struct ProbeOptions {
  Duration deadline = Duration::seconds(10);  // for the whole probe
  // Registers, reserves, preempts and releases with scratch keys. Refused when anybody is registered.
  bool exercise = false;
};

struct Verdict {
  bool suitable = false;
  std::vector<std::string> reasons;   // why not
  std::vector<std::string> warnings;  // what to know although it is suitable
};

struct ExerciseStep {
  std::string name;
  bool passed = false;
  std::string detail;  // the error when it did not
};

struct ProbeReport {
  std::optional<Error> error;  // the LUN could not be examined; what follows is what is known so far
  Capabilities capabilities;
  uint64_t size_bytes = 0;
  RegisteredKeys registered;
  Reservation reservation;
  std::vector<FullStatusEntry> full_status;
  std::vector<Content> contents;
  std::vector<ExerciseStep> exercise;
  Verdict quorum;
  Verdict data_disk;
};

// `lun` must be open.
ProbeReport probe(Lun& lun, const ProbeOptions& options = {});

std::string to_text(const ProbeReport& report);
// One JSON object, indented.
std::string to_json(const ProbeReport& report);

// What is on the LUN, or nullopt when all that is looked at is zero. A Holdfast quorum log is named too: it
// may be another cluster's. A LUN that cannot be read yields "unreadable: …": it is not known to be empty.
std::optional<std::string> foreign_content(Lun& lun);

}  // namespace holdfast::scsi
