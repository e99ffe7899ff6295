#include "cli/service.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/output.h"

namespace holdfast::cli {

int report(Context& context, const Error& error, int exit_code) {
  if (context.json) {
    print_json(context.err, Json{{"error", std::string(to_string(error.code))},
                                 {"message", error.message},
                                 {"errno", error.os_errno},
                                 {"hint", error.hint},
                                 {"exit_code", exit_code}});
    return exit_code;
  }
  Error plain = error;
  plain.hint.clear();
  context.err << "holdfast: " << plain.text() << "\n";
  if (!error.hint.empty()) context.err << "  next: " << error.hint << "\n";
  return exit_code;
}

int confirm(Context& context, const std::string& question) {
  if (context.yes) return exit_ok;
  if (!context.interactive)
    return report(
        context,
        {ErrorCode::invalid_argument, 0, question + ": nobody is there to ask", "repeat it with --yes"},
        exit_usage);
  context.err << question << ". Go on? [y/N] " << std::flush;
  std::string answer;
  std::getline(context.in, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return exit_ok;
  return report(context, {ErrorCode::cancelled, 0, "nothing was changed", ""});
}

Result<client::Client> connect(Context& context) {
  std::string socket = context.socket;
  if (socket.empty()) {
    // Another runtime folder in the configuration means another socket; without a readable file, the usual
    // one.
    socket = client::default_socket();
    if (!getenv("HOLDFAST_SOCKET"))
      if (auto config = load_node_config(context.config_path)) socket = config->socket_path();
  }
  return client::Client::connect(socket, service_timeout, "holdfast");
}

int exit_code_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::unreachable:
    case ErrorCode::connection_lost:
      return exit_unreachable;
    case ErrorCode::timeout:
      return exit_timeout;
    default:
      return exit_failed;
  }
}

int report_service(Context& context, const Error& error) {
  return report(context, error, exit_code_of(error));
}

Result<std::vector<api::Property>> parse_properties(const std::vector<std::string>& given,
                                                    const std::vector<std::string>& unset) {
  std::vector<api::Property> out;
  for (const auto& text : given) {
    auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(
          ErrorCode::invalid_argument, "'" + text + "' is not Name=Value", 0,
          "for example RestartThreshold=3, PreferredOwners=n1,n2, 'CommandLine=/usr/bin/app --port 80'");
    out.emplace_back().set_name(text.substr(0, equals));
    out.back().set_value(text.substr(equals + 1));
  }
  for (const auto& name : unset) {
    out.emplace_back().set_name(name);
    out.back().set_unset(true);
  }
  return out;
}

int run_command(Context& context, api::Command command, bool waits, const std::string& done) {
  auto client = connect(context);
  if (!client) return report_service(context, client.error());
  if (waits) command.set_wait_ms(context.wait_seconds * 1000);
  auto response = client->command(command, service_timeout);
  if (!response) {
    Error error = response.error();
    // What the service refuses is no matter of reaching it, even when a device behind it does not answer.
    bool answered = client->descriptor() >= 0;
    if (error.code == ErrorCode::timeout && error.hint.empty())
      error.hint = "it may still happen: 'holdfast cluster status', 'holdfast events'";
    return report(context, error,
                  answered && error.code != ErrorCode::timeout ? exit_failed : exit_code_of(error));
  }
  if (context.json) {
    print_json(context.out, Json{{"done", true},
                                 {"object", command.object()},
                                 {"message", response->message()},
                                 {"text", response->text()},
                                 {"sequence", response->sequence()}});
    return exit_ok;
  }
  bool asked_only = waits && context.wait_seconds == 0;
  context.out << done << (asked_only ? ": ordered, not waited for" : "") << "\n";
  if (!response->message().empty()) context.out << "  " << response->message() << "\n";
  return exit_ok;
}

}  // namespace holdfast::cli
