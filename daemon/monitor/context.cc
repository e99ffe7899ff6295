#include "monitor/context.h"

#include "monitor/resource.h"

namespace holdfast::monitor {

Context::Context(const Order& order, const Identity& identity)
    : order_(order),
      cluster_id_(identity.cluster_id),
      cluster_name_(identity.cluster_name),
      node_name_(identity.node_name) {
  for (const auto& p : order_.parameters()) {
    auto list = std::make_unique<std::vector<const char*>>();
    for (const auto& item : p.list()) list->push_back(item.c_str());
    parameters_.push_back({p.name().c_str(), p.value().c_str(), list->data(), list->size()});
    lists_.push_back(std::move(list));
  }
  // A provider is one Parameter: name = resource, value = its type, list = "Name=Value" as it published them.
  size_t count = 0;
  for (const auto& p : order_.providers()) count += static_cast<size_t>(p.list_size());
  provided_text_.reserve(count);
  for (const auto& p : order_.providers())
    for (const auto& item : p.list()) {
      size_t equals = item.find('=');
      if (equals == std::string::npos) continue;
      provided_text_.emplace_back(item.substr(0, equals), item.substr(equals + 1));
      provided_.push_back({p.name().c_str(), p.value().c_str(), provided_text_.back().first.c_str(),
                           provided_text_.back().second.c_str()});
    }
  context_.size = sizeof context_;
  context_.node_id = identity.node_id;
  context_.resource = order_.resource().c_str();
  context_.node_name = node_name_.c_str();
  context_.cluster_name = cluster_name_.c_str();
  context_.cluster_id = cluster_id_.c_str();
  context_.parameters = parameters_.data();
  context_.parameters_size = parameters_.size();
  context_.provided = provided_.data();
  context_.provided_size = provided_.size();
  context_.generation = order_.generation();
  context_.reservation_key = order_.reservation_key();
  context_.victim_key = order_.victim_key();
  context_.deadline_boottime_ns = order_.expires_boottime_ns();
}

}  // namespace holdfast::monitor
