// The service's words: to the journal with HOLDFAST_* fields when systemd runs us, else to stderr.
#pragma once

#include <string>

#include "proto/api.pb.h"

namespace holdfast {

enum class Priority : int { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };

void set_log_level(const std::string& level);  // error, warning, notice, info, debug, trace
void set_log_node(const std::string& node);
void log(Priority priority, const std::string& text);
void log_event(const api::Event& event);

}  // namespace holdfast
