#include "iscsi/transport.h"
namespace holdfast::scsi {
std::unique_ptr<Transport> make_sg_transport(const Attachment& attachment) { return make_iscsi_transport(attachment); }
}
