// The monitor's services for one instance.
#pragma once

#include <string>

#include "base/error.h"
#include "base/time.h"
#include "holdfast/resource.h"

namespace holdfast::sdk {

class Host {
 public:
  explicit Host(const holdfast_host* host) : h_(host) {}
  void progress(const std::string& text) const { h_->progress(h_, text.c_str()); }
  void failed(const std::string& text) const { h_->fail(h_, text.c_str()); }
  void publish(const char* name, const std::string& value) const { h_->publish(h_, name, value.c_str()); }
  void warn(const std::string& text) const { h_->log(h_, 4, text.c_str()); }
  void info(const std::string& text) const { h_->log(h_, 6, text.c_str()); }
  bool lease_valid() const { return h_->lease_remaining_ms(h_) > 0; }
  bool cancelled() const { return h_->cancelled(h_) != 0; }
  // Notes something for the sweep, before it is brought up.
  Status record(const char* kind, const std::string& key, const std::string& detail = {}) const;
  void forget(const char* kind, const std::string& key) const { h_->forget(h_, kind, key.c_str()); }
  // False when terminate came meanwhile.
  bool sleep(Duration time) const;

 private:
  const holdfast_host* h_;
};

}  // namespace holdfast::sdk
