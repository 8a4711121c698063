#include <arrow/api.h>

#include <nlohmann/json.hpp>

#include "connectors/exec/processor.h"
#include "pipeline/columns.h"
#include "pipeline/record.h"
#include "pipeline/rows.h"

namespace sluice::connectors::exec {
namespace {

using pipeline::Batch;
using pipeline::Column;
using SteadyClock = std::chrono::steady_clock;

// A record that ends the program so often is to blame.
constexpr int kTries = 2;
// So many records in a row are to blame: it is the program.
constexpr int kMostBlamed = 3;

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.back() == '\r' || text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

class PerRecord final : public pipeline::Processor {
 public:
  explicit PerRecord(ExecOptions options) : options_(std::move(options)) {}

  Status Open() override {
    RETURN_IF_ERROR(CheckProgram(options_.child));
    return Ensure();
  }

  Result<Batch> Process(Batch batch, std::vector<Reject>* rejected, std::stop_token stop) override {
    if (batch.rows() == 0) return batch;
    Answers answers;
    int64_t row = 0;
    while (row < batch.rows()) {
      const int64_t before = row;
      Status sent = Ask(batch, &row, batch.rows(), stop, &answers);
      if (sent.ok()) {
        blamed_ = 0;
        break;
      }
      if (sent.error().code() == ErrorCode::kCancelled || child_failed_) return AsPassing(sent.error());
      if (row > before) blamed_ = 0;
      // The record that it did not answer, alone, to a fresh program.
      const int64_t suspect = row;
      for (int i = 1; i < kTries && !sent.ok() && row == suspect; ++i) {
        sent = Ask(batch, &row, suspect + 1, stop, &answers);
        if (!sent.ok() && sent.error().code() == ErrorCode::kCancelled) return sent.error();
      }
      if (row > suspect) {
        blamed_ = 0;
        continue;
      }
      if (blamed_ + 1 >= kMostBlamed || child_failed_) return AsPassing(sent.error());
      ++blamed_;
      rejected->push_back({suspect, sent.error().ToString()});
      ++row;
    }
    return Assemble(batch, answers, rejected);
  }

 private:
  // What the program made of rows, in their order.
  struct Answers {
    std::string text;           // NDJSON
    std::vector<int32_t> rows;  // of each line of it
    std::vector<Reject> rejects;
  };

  Status Ensure() {
    if (child_ != nullptr) return {};
    child_failed_ = true;
    ASSIGN_OR_RETURN(child_, Child::Start(options_.child));
    child_failed_ = false;
    return {};
  }

  // Gives it the rows [*row, end); `*row` moves behind each that it answers.
  Status Ask(const Batch& batch, int64_t* row, int64_t end, const std::stop_token& stop, Answers* answers) {
    RETURN_IF_ERROR(Ensure());
    std::string input;
    for (int64_t i = *row; i < end; ++i) {
      pipeline::AppendRecord(*batch.records, i, {}, &input);
      input += '\n';
    }
    Status done = child_->Exchange(input, Child::Ending::kStaysOpen, SteadyClock::now() + options_.timeout,
                                   stop, [&](std::string_view line) {
                                     Take(line, static_cast<int32_t>(*row), answers);
                                     return ++*row < end;
                                   });
    if (!done.ok()) child_.reset();
    return done;
  }

  static void Take(std::string_view line, int32_t row, Answers* answers) {
    line = Trim(line);
    if (line.empty() || line == "null") return;
    if (line.starts_with("{\"$reject\"")) {
      const auto json = nlohmann::json::parse(line, nullptr, false);
      const bool is_text = json.is_object() && json.contains("$reject") && json["$reject"].is_string();
      answers->rejects.push_back({row, is_text ? json["$reject"].get<std::string>() : std::string(line)});
      return;
    }
    answers->text.append(line).append("\n");
    answers->rows.push_back(row);
  }

  Result<Batch> Assemble(const Batch& batch, Answers& answers, std::vector<Reject>* rejected) {
    rejected->insert(rejected->end(), answers.rejects.begin(), answers.rejects.end());
    pipeline::ParseLimits limits;
    limits.layout = pipeline::Layout::kLines;
    ASSIGN_OR_RETURN(pipeline::ParsedRecords parsed, pipeline::ParseRecords(answers.text, limits));
    for (const pipeline::BadRecord& bad : parsed.bad) {
      rejected->push_back(
          {answers.rows[static_cast<size_t>(bad.position)],
           fmt::format("'{}' answered with no record: {}", options_.child.command[0], bad.reason)});
    }
    std::vector<int32_t> rows;
    for (const int64_t position : parsed.positions)
      rows.push_back(answers.rows[static_cast<size_t>(position)]);
    ASSIGN_OR_RETURN(Batch out, pipeline::TakeRows(batch, rows));
    const arrow::StringArray& given = pipeline::Texts(*out.records, Column::kUuid);
    const arrow::StringArray& answered = pipeline::Texts(*parsed.records, Column::kUuid);
    for (int64_t i = 0; i < given.length(); ++i) {
      const std::string_view uuid = answered.GetView(i);
      if (uuid.empty() || uuid == given.GetView(i)) continue;
      child_.reset();  // nothing that it says can be relied on
      return MakeError(
          ErrorCode::kUnavailable,
          "'{}' answered the record '{}' with '{}'; it must give one line for each line, in order",
          options_.child.command[0], given.GetView(i), uuid);
    }
    out.records = pipeline::WithColumn(*parsed.records, Column::kUuid,
                                       out.records->column(static_cast<int>(Column::kUuid)));
    return out;
  }

  const ExecOptions options_;
  std::unique_ptr<Child> child_;
  bool child_failed_ = false;  // to start
  int blamed_ = 0;             // records in a row, of this batch and those before
};

}  // namespace

std::unique_ptr<pipeline::Processor> MakePerRecord(ExecOptions options) {
  return std::make_unique<PerRecord>(std::move(options));
}

}  // namespace sluice::connectors::exec
