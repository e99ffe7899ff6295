#include <iostream>
#include <nlohmann/json.hpp>

#include "base/version.h"
#include "cli/actions.h"
#include "cli/output.h"
#include "cli/service.h"

namespace holdfast::cli {
namespace {

// Runs `use` with the status, or reports why there is none.
template <typename Use>
int with_status(Context& context, Use use) {
  auto client = connect(context);
  if (!client) return report_service(context, client.error());
  auto status = client->status(service_timeout);
  if (!status) return report_service(context, status.error());
  return use(*status);
}

template <typename Objects>
int show_one(Context& context, const Objects& objects, const char* kind, const std::string& name,
             const std::function<void(const typename Objects::value_type&)>& print) {
  std::string known;
  for (const auto& object : objects) {
    if (object.name() == name) {
      print(object);
      return exit_ok;
    }
    known += (known.empty() ? "" : ", ") + object.name();
  }
  return report(context, {ErrorCode::not_found, 0, std::string("there is no ") + kind + " '" + name + "'",
                          known.empty() ? "there are none" : "there are: " + known});
}

template <typename Objects>
Json list_of(const Objects& objects) {
  Json out = Json::array();
  for (const auto& object : objects) out.push_back(to_json(object));
  return out;
}

}  // namespace

int cluster_status(Context& c, const NoOptions&) {
  return with_status(c, [&](const api::Status& s) {
    c.json ? print_json(c.out, to_json(s)) : print_status(c.out, s);
    return exit_ok;
  });
}

int cluster_show(Context& c, const NoOptions&) {
  return with_status(c, [&](const api::Status& s) {
    Json json = {{"cluster_name", s.cluster_name()},
                 {"cluster_id", s.cluster_id()},
                 {"functional_level", s.functional_level()},
                 {"maintenance", s.maintenance()},
                 {"properties", to_json(s.cluster_properties())}};
    if (c.json) {
      print_json(c.out, json);
    } else {
      c.out << "Cluster:      " << s.cluster_name() << "\nId:           " << s.cluster_id()
            << "\nLevel:        " << s.functional_level() << "\nProperties:\n";
      print_properties(c.out, s.cluster_properties());
    }
    return exit_ok;
  });
}

int node_list(Context& c, const NoOptions&) {
  return with_status(c, [&](const api::Status& s) {
    c.json ? print_json(c.out, list_of(s.nodes())) : print_nodes(c.out, s);
    return exit_ok;
  });
}
int group_list(Context& c, const NoOptions&) {
  return with_status(c, [&](const api::Status& s) {
    c.json ? print_json(c.out, list_of(s.groups())) : print_groups(c.out, s);
    return exit_ok;
  });
}
int resource_list(Context& c, const NoOptions&) {
  return with_status(c, [&](const api::Status& s) {
    c.json ? print_json(c.out, list_of(s.resources())) : print_resources(c.out, s);
    return exit_ok;
  });
}

int node_show(Context& c, const ShowOptions& o) {
  return with_status(c, [&](const api::Status& s) {
    return show_one(c, s.nodes(), "node", o.object, [&](const api::NodeStatus& n) {
      c.json ? print_json(c.out, to_json(n)) : print_node(c.out, n, s);
    });
  });
}
int group_show(Context& c, const ShowOptions& o) {
  return with_status(c, [&](const api::Status& s) {
    return show_one(c, s.groups(), "group", o.object, [&](const api::GroupStatus& g) {
      c.json ? print_json(c.out, to_json(g)) : print_group(c.out, g, s);
    });
  });
}
int resource_show(Context& c, const ShowOptions& o) {
  return with_status(c, [&](const api::Status& s) {
    return show_one(c, s.resources(), "resource", o.object, [&](const api::ResourceStatus& r) {
      c.json ? print_json(c.out, to_json(r)) : print_resource(c.out, r);
    });
  });
}

int quorum_status(Context& c, const NoOptions&) {
  return with_status(c, [&](const api::Status& s) {
    c.json ? print_json(c.out, to_json(s.quorum(), s)) : print_quorum(c.out, s);
    return exit_ok;
  });
}

int version(Context& c, const NoOptions&) {
  Json json = {{"version", version_text()},
               {"protocol_min", protocol_version_min},
               {"protocol_max", protocol_version_max},
               {"service", nullptr}};
  if (auto client = connect(c))
    if (auto status = client->status(service_timeout)) json["service"] = status->software();
  if (c.json) {
    print_json(c.out, json);
    return exit_ok;
  }
  c.out << "holdfast " << version_text() << "\n";
  if (json["service"].is_string()) c.out << "service  " << json["service"].get<std::string>() << "\n";
  return exit_ok;
}

int events(Context& c, const EventsOptions& o) {
  auto client = connect(c);
  if (!client) return report_service(c, client.error());
  if (auto sent = client->subscribe(!o.no_history, service_timeout); !sent)
    return report_service(c, sent.error());
  // Without --follow the history is what arrives before the stream falls silent.
  Duration patience = o.follow ? Duration::seconds(3600) : Duration::milliseconds(300);
  for (;;) {
    auto event = client->next_event(patience);
    if (event) {
      if (c.json)
        c.out << to_json(*event).dump(-1, ' ', false, Json::error_handler_t::replace) << "\n" << std::flush;
      else
        print_event(c.out, *event), c.out << std::flush;
      if (!c.out) return exit_ok;  // the reader of our output has gone
      continue;
    }
    if (event.error().code != ErrorCode::timeout) return report_service(c, event.error());
    if (!o.follow) return exit_ok;
  }
}

}  // namespace holdfast::cli
