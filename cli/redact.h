// Nothing secret leaves the host: passwords in iSCSI addresses, and values whose name says that they are
// secret.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace holdfast::cli {

// "iscsi://user%***@host/…", and "password=***" wherever it stands in the text.
std::string redact(const std::string& text);
// Also values of members whose name contains password, secret or token. In place.
void redact(nlohmann::ordered_json& json);

}  // namespace holdfast::cli
