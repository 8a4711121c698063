#include "ingest/key_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "base/random.h"
#include "storage/disk.h"

namespace sluice::ingest {

Result<std::shared_ptr<uint64_t[]>> KeyFiles::Get(size_t units) {
  const std::string path = folder_ + "/keys-" + RandomName(16);
  ASSIGN_OR_RETURN(auto file,
                   storage::File::Open(storage::Disk::Real(), path, O_RDWR | O_CREAT | O_EXCL, 0600));
  if (unlink(path.c_str()) != 0) return FromErrno(errno, fmt::format("cannot use file '{}' for keys", path));
  const size_t bytes = units * sizeof(uint64_t);
  if (const int error = posix_fallocate(file->fd(), 0, static_cast<off_t>(bytes)); error != 0)
    return FromErrno(error, fmt::format("no space for {} bytes of keys in '{}'", bytes, folder_));
  void* start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd(), 0);
  if (start == MAP_FAILED) return FromErrno(errno, fmt::format("cannot map {} bytes of keys", bytes));
  // Keys are met in no order: reading ahead would only bring in what is not asked for.
  (void)madvise(start, bytes, MADV_RANDOM);
  return std::shared_ptr<uint64_t[]>(static_cast<uint64_t*>(start),
                                     [bytes](uint64_t* units_start) { munmap(units_start, bytes); });
}

}  // namespace sluice::ingest
