// An order's parameters as the C structures that a plug-in gets, with the strings they point into.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "holdfast/resource.h"
#include "proto/monitor.pb.h"

namespace holdfast::monitor {

struct Identity;

class Context {
 public:
  Context(const Order& order, const Identity& identity);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  const holdfast_context* get() const { return &context_; }

 private:
  Order order_;
  std::string cluster_id_, cluster_name_, node_name_;
  std::vector<holdfast_parameter> parameters_;
  std::vector<std::unique_ptr<std::vector<const char*>>> lists_;
  std::vector<std::pair<std::string, std::string>> provided_text_;  // name, value
  std::vector<holdfast_provided> provided_;
  holdfast_context context_{};
};

}  // namespace holdfast::monitor
