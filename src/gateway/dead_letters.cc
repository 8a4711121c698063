#include "gateway/dead_letters.h"

#include <algorithm>
#include <filesystem>

#include "gateway/bytes_internal.h"
#include "storage/storage.h"

namespace sluice::gateway {
namespace {

std::string NameOf(const multiformats::DatasetId& dataset, const std::string& receipt) {
  return dataset.ToMultibase() + "/" + receipt;
}

Result<DeadLetters::Letter> Decode(std::string_view bytes) {
  ByteReader in(bytes);
  DeadLetters::Letter letter;
  letter.about.receipt = in.Text();
  letter.about.source = in.Text();
  letter.about.account = in.Text();
  letter.about.reason = in.Text();
  letter.about.received = Instant::FromMillis(in.Number<int64_t>());
  letter.about.failed = Instant::FromMillis(in.Number<int64_t>());
  if (!in.ok()) return Corruption("a dead letter of {} bytes does not decode", bytes.size());
  std::string_view body;
  ASSIGN_OR_RETURN(letter.batch, DecodeQueued(in.rest(), &body));
  letter.body = std::string(body);
  letter.about.bytes = body.size();
  return letter;
}

}  // namespace

Status DeadLetters::Add(const multiformats::DatasetId& dataset, const DeadLetter& letter,
                        const QueuedBatch& batch, std::string_view body) const {
  ByteWriter out;
  out.Text(letter.receipt);
  out.Text(letter.source);
  out.Text(letter.account);
  out.Text(letter.reason);
  out.Number(letter.received.ToMillis());
  out.Number(letter.failed.ToMillis());
  const std::string stored = EncodeQueued(batch, body);
  out.Raw(stored.data(), stored.size());
  ASSIGN_OR_RETURN(auto storage, storage::OpenLocalStorage(folder_));
  return storage->Replace(NameOf(dataset, letter.receipt), out.Take());
}

Result<std::vector<DeadLetter>> DeadLetters::List(const multiformats::DatasetId& dataset) const {
  std::vector<DeadLetter> letters;
  if (Count(dataset) == 0) return letters;
  ASSIGN_OR_RETURN(auto storage, storage::OpenLocalStorage(folder_));
  ASSIGN_OR_RETURN(auto names, storage->List(dataset.ToMultibase()));
  for (const auto& name : names) {
    ASSIGN_OR_RETURN(auto bytes, storage->Get(name));
    auto letter = Decode(bytes);
    if (!letter.ok()) return std::move(letter).error().With(name);
    letters.push_back(std::move(letter->about));
  }
  std::sort(letters.begin(), letters.end(),
            [](const auto& a, const auto& b) { return a.received < b.received; });
  return letters;
}

Result<DeadLetters::Letter> DeadLetters::Read(const multiformats::DatasetId& dataset,
                                              const std::string& receipt) const {
  if (receipt.find('/') != std::string::npos || receipt.empty() || receipt[0] == '.')
    return NotFound("no dead letter '{}'", receipt);
  ASSIGN_OR_RETURN(auto storage, storage::OpenLocalStorage(folder_));
  auto bytes = storage->Get(NameOf(dataset, receipt));
  if (!bytes.ok() && bytes.error().code() == ErrorCode::kNotFound)
    return NotFound("no dead letter '{}'", receipt);
  if (!bytes.ok()) return std::move(bytes).error();
  return Decode(*bytes);
}

Status DeadLetters::Remove(const multiformats::DatasetId& dataset, const std::string& receipt) const {
  ASSIGN_OR_RETURN(auto storage, storage::OpenLocalStorage(folder_));
  return storage->Delete(NameOf(dataset, receipt));
}

Status DeadLetters::RemoveAll(const multiformats::DatasetId& dataset) const {
  const std::string path = folder_ + "/" + dataset.ToMultibase();
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return FromErrno(error.value(), fmt::format("cannot remove '{}'", path));
  return {};
}

uint64_t DeadLetters::Count(const multiformats::DatasetId& dataset) const { return Receipts(dataset).size(); }

std::vector<std::string> DeadLetters::Receipts(const multiformats::DatasetId& dataset) const {
  std::error_code error;
  std::vector<std::string> receipts;
  for (std::filesystem::directory_iterator it(folder_ + "/" + dataset.ToMultibase(), error), end;
       !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (name[0] != '.') receipts.push_back(std::move(name));
  }
  return receipts;
}

}  // namespace sluice::gateway
