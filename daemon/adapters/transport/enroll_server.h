// The server side of enrollment: one request, one answer, ten seconds, a handful at a time.
// The asker has no certificate: nothing it sends is believed before the handler has judged its secret.
#pragma once

#include <memory>
#include <string>

#include "adapters/transport/session.h"

namespace holdfast::transport {

// `remote` is "address:port" of the asker. Keeps the stream alive until it is done.
void serve_enrollment(Context& context, std::shared_ptr<TlsStream> stream, const std::string& remote);

}  // namespace holdfast::transport
