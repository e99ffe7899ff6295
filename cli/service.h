// Talking to the service from a verb.
#pragma once

#include "cli/context.h"
#include "holdfast/client.h"

namespace holdfast::cli {

constexpr Duration service_timeout = Duration::seconds(10);

// An error has been reported when there is no value; `exit_code` is then what to return.
Result<client::Client> connect(Context& context);
// The right exit code of an error that came through the client.
int exit_code_of(const Error& error);
int report_service(Context& context, const Error& error);

// "Name=Value" to properties; the value may hold anything, also '='. Lists stay text ("a,b"): the service
// knows which properties are lists.
Result<std::vector<api::Property>> parse_properties(const std::vector<std::string>& given,
                                                    const std::vector<std::string>& unset = {});

// Sends it, waits for its effect up to --wait when `waits`, prints `done` (or JSON).
int run_command(Context& context, api::Command command, bool waits, const std::string& done);

}  // namespace holdfast::cli
