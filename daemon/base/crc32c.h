// CRC-32C (Castagnoli, RFC 3720 appendix B.4), as iSCSI and ext4 use it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast {

// `seed` continues an earlier result: crc32c(b, nb, crc32c(a, na)) == crc32c(ab).
uint32_t crc32c(const void* data, size_t size, uint32_t seed = 0);
// The same where the processor has no instruction for it.
uint32_t crc32c_by_table(const void* data, size_t size, uint32_t seed = 0);

}  // namespace holdfast
