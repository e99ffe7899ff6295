#include "host/output_runner.h"

namespace holdfast {

void run_output(core::Output& o, OutputPorts& ports) {
  if (o.gates) ports.set_gates(*o.gates);
  for (const auto& op : o.lun) ports.execute(op);
  if (o.roster) ports.learn_roster(*o.roster);
  if (o.nodes_changed) ports.nodes_changed();
  if (o.new_epoch) ports.set_epoch(*o.new_epoch);
  for (const auto& d : o.datagrams) ports.send_datagram(d.to, d.payload);
  for (const auto& m : o.messages) ports.send_message(m.to, m.epoch, m.payload);
  for (const auto& m : o.monitor) ports.tell_monitor(m);
  for (auto& a : o.answers) ports.answer(a.client, std::move(a.response));
  for (const auto& e : o.events) ports.publish(e);
  for (const auto& w : o.replica) ports.write_replica(w);
  ports.arm(o.next_deadline);
  for (const auto& t : o.trace) ports.trace(t);
  // Last: whoever hears it may end the process, and everything above has been handed on.
  if (o.life_ended) ports.life_ended(*o.life_ended);
}

}  // namespace holdfast
