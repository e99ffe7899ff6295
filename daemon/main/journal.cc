#include "main/journal.h"

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>

namespace holdfast {
namespace {
int level = 6;
std::string node_field = "HOLDFAST_NODE=?";
bool to_journal() {
  static const bool yes = getenv("JOURNAL_STREAM") != nullptr;
  return yes;
}
void to_stderr(int priority, const std::string& text) {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  fprintf(stderr, "%lld.%06ld <%d> %s\n", static_cast<long long>(now.tv_sec), now.tv_nsec / 1000, priority,
          text.c_str());
}
}  // namespace

void set_log_level(const std::string& name) {
  level = name == "error" ? 3 : name == "warning" ? 4 : name == "notice" ? 5 : name == "info" ? 6 : 7;
}
void set_log_node(const std::string& node) {
  node_field = "HOLDFAST_NODE=" + node;
}

void log(Priority priority, const std::string& text) {
  if (static_cast<int>(priority) > level) return;
  if (to_journal())
    sd_journal_send("MESSAGE=%s", text.c_str(), "PRIORITY=%d", static_cast<int>(priority),
                    "SYSLOG_IDENTIFIER=holdfastd", "%s", node_field.c_str(), nullptr);
  else
    to_stderr(static_cast<int>(priority), text);
}

void log_event(const api::Event& e) {
  // Values of the database are many: they are for `holdfast events`, and for the journal only when debugging.
  const bool detail = e.kind() == "VALUE" || e.kind() == "KEY_CREATED" || e.kind() == "KEY_DELETED";
  const int priority = detail ? 7 : e.classic_id() ? 4 : 6;
  if (priority > level) return;
  std::string text = e.kind() + " " + e.object() + ": " +
                     (e.old_value().empty() ? "" : e.old_value() + " -> ") + e.new_value() +
                     (e.cause().empty() ? "" : " (" + e.cause() + ")");
  if (to_journal())
    sd_journal_send("MESSAGE=%s", text.c_str(), "PRIORITY=%d", priority, "SYSLOG_IDENTIFIER=holdfastd", "%s",
                    node_field.c_str(), "HOLDFAST_KIND=%s", e.kind().c_str(), "HOLDFAST_OBJECT=%s",
                    e.object().c_str(), "HOLDFAST_VALUE=%s", e.new_value().c_str(), "HOLDFAST_CAUSE=%s",
                    e.cause().c_str(), "HOLDFAST_EVENT_ID=%u", e.classic_id(), nullptr);
  else
    to_stderr(priority, text);
}

}  // namespace holdfast
