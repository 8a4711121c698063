#include "connectors/sqs/connector.h"

#include <cstdlib>

#include "connectors/aws/signing.h"
#include "connectors/sqs/sqs_internal.h"
#include "pipeline/record.h"
#include "pipeline/registry.h"
#include "pipeline/settings.h"

namespace sluice::connectors {
namespace {

using pipeline::Declaration;
using pipeline::Option;
using pipeline::OptionType;
using std::chrono::seconds;

constexpr int64_t kMaxThreads = 64;
constexpr uint64_t kLargestMessage = 1 << 20;
constexpr seconds kLongestWait{20};
constexpr seconds kLongestVisibility{12 * 3600};

std::vector<Option> CommonOptions() {
  std::vector<Option> options = {
      {.name = "queue_url",
       .description =
           "URL of the queue, https://sqs.REGION.amazonaws.com/ACCOUNT/NAME; FIFO when it ends in .fifo",
       .is_required = true}};
  for (auto& option : aws::SigningOptions("Region to sign for; read from the URL, else from AWS_REGION"))
    options.push_back(std::move(option));
  options.push_back({.name = "timeout",
                     .type = OptionType::kDuration,
                     .description = "Time that a call may take",
                     .default_text = "30s"});
  return options;
}

Declaration DeclareIngestor() {
  Declaration declaration;
  declaration.kind = pipeline::ConnectorKind::kIngestor;
  declaration.type = "sqs";
  declaration.summary =
      "Receives messages of an Amazon SQS queue, or of a server that speaks its JSON protocol";
  declaration.tier = pipeline::Tier::kBeta;
  declaration.guarantee = pipeline::Guarantee::kAtLeastOnce;
  declaration.guarantee_text =
      "A message is deleted when every record in it has its outcome, and kept from other receivers until then. A "
      "message that is delivered twice brings records with the same uuid. In a FIFO queue a message is not deleted "
      "before the earlier ones of its group. Needs the rights ReceiveMessage, DeleteMessage, "
      "ChangeMessageVisibility and GetQueueAttributes.";
  declaration.options = CommonOptions();
  declaration.options.insert(
      declaration.options.end(),
      {{.name = "receivers",
        .type = OptionType::kInteger,
        .description = "How many calls wait for messages at a time",
        .default_text = "4"},
       {.name = "wait",
        .type = OptionType::kDuration,
        .description = "How long a call waits for messages, up to 20s",
        .default_text = "10s"},
       {.name = "visibility",
        .type = OptionType::kDuration,
        .description =
            "How long messages are kept from other receivers after this process is gone; extended while it works on them",
        .default_text = "60s"},
       {.name = "retry_after",
        .type = OptionType::kDuration,
        .description = "When a message may be delivered again that was not stored",
        .default_text = "5s"}});
  declaration.example =
      "type: sqs\n"
      "queue_url: ${{ env.QUEUE || 'https://sqs.eu-central-1.amazonaws.com/123456789012/feedback' }}\n";
  return declaration;
}

Declaration DeclareWriter() {
  Declaration declaration;
  declaration.kind = pipeline::ConnectorKind::kWriter;
  declaration.type = "sqs";
  declaration.summary = "Sends records to an Amazon SQS queue, one message each";
  declaration.tier = pipeline::Tier::kBeta;
  declaration.guarantee = pipeline::Guarantee::kAtLeastOnce;
  declaration.guarantee_text =
      "Accepted when the queue has it. A repeat is another message in a standard queue; a FIFO queue drops it for 5 "
      "minutes, by the record's uuid. Needs the rights SendMessage and GetQueueAttributes.";
  declaration.options = CommonOptions();
  declaration.options.insert(
      declaration.options.end(),
      {{.name = "connections",
        .type = OptionType::kInteger,
        .description = "How many calls, of up to 10 messages each, are under way at a time for one batch",
        .default_text = "8"},
       {.name = "max_message_bytes",
        .type = OptionType::kBytes,
        .description =
            "Largest message, and largest sum of a call, in bytes; up to 1MiB where the queue allows it",
        .default_text = "256KiB"},
       {.name = "group_by",
        .type = OptionType::kTexts,
        .description =
            "Fields whose values make the message group of a FIFO queue, within which order is kept; otherwise "
            "tenant_id, source_type and source_id"}});
  declaration.example =
      "type: sqs\n"
      "queue_url: ${{ env.QUEUE || 'https://sqs.eu-central-1.amazonaws.com/123456789012/feedback' }}\n"
      "max_message_bytes: 1MiB\n";
  return declaration;
}

Result<sqs::QueueOptions> ReadQueue(const pipeline::Settings& settings) {
  sqs::QueueOptions options;
  options.queue_url = settings.text("queue_url");
  options.timeout = settings.duration("timeout");
  auto place = sqs::PlaceOf(options.queue_url);
  if (!place.ok()) return settings.Complain("queue_url", place.error().message());
  if (options.timeout.count() < 1) return settings.Complain("timeout", "must be 1ms or more");
  ASSIGN_OR_RETURN(options.signing, aws::ReadSigning(settings, "sqs", place->region));
  return options;
}

Result<int> ReadThreads(const pipeline::Settings& settings, const char* option) {
  const int64_t threads = settings.integer(option);
  if (threads < 1 || threads > kMaxThreads)
    return settings.Complain(option, fmt::format("must be 1 to {}", kMaxThreads));
  return static_cast<int>(threads);
}

Result<seconds> ReadSeconds(const pipeline::Settings& settings, const char* option, seconds least,
                            seconds most) {
  const auto value = settings.duration(option);
  if (value < least || value > most || value.count() % 1000 != 0)
    return settings.Complain(option,
                             fmt::format("must be {} to {} whole seconds", least.count(), most.count()));
  return std::chrono::duration_cast<seconds>(value);
}

Result<std::unique_ptr<pipeline::Ingestor>> MakeIngestor(const pipeline::Settings& settings,
                                                         pipeline::Environment& environment) {
  sqs::IngestorOptions options;
  ASSIGN_OR_RETURN(options.queue, ReadQueue(settings));
  ASSIGN_OR_RETURN(options.receivers, ReadThreads(settings, "receivers"));
  ASSIGN_OR_RETURN(options.wait, ReadSeconds(settings, "wait", seconds(0), kLongestWait));
  ASSIGN_OR_RETURN(options.visibility, ReadSeconds(settings, "visibility", seconds(1), kLongestVisibility));
  ASSIGN_OR_RETURN(options.retry_after, ReadSeconds(settings, "retry_after", seconds(0), kLongestVisibility));
  return sqs::MakeIngestor(std::move(options), environment);
}

Result<std::unique_ptr<pipeline::IngestionWriter>> MakeWriter(const pipeline::Settings& settings,
                                                              pipeline::Environment&) {
  sqs::WriterOptions options;
  ASSIGN_OR_RETURN(options.queue, ReadQueue(settings));
  ASSIGN_OR_RETURN(options.connections, ReadThreads(settings, "connections"));
  options.max_message_bytes = settings.bytes("max_message_bytes");
  if (options.max_message_bytes < 1024 || options.max_message_bytes > kLargestMessage)
    return settings.Complain("max_message_bytes", "must be 1KiB to 1MiB");
  std::vector<std::string> group_by = settings.texts("group_by");
  if (group_by.empty()) group_by = {"tenant_id", "source_type", "source_id"};
  for (const std::string& name : group_by) {
    int found = -1;
    for (int i = 0; i < pipeline::kColumns; ++i) {
      const auto column = static_cast<pipeline::Column>(i);
      const bool is_text = column != pipeline::Column::kMetadata && column < pipeline::Column::kCreatedAt;
      if (is_text && pipeline::ColumnName(column) == name) found = i;
    }
    if (found < 0)
      return settings.Complain("group_by", fmt::format("'{}' is no text field of a record", name));
    options.group_by.push_back(found);
  }
  return sqs::MakeWriter(std::move(options));
}

}  // namespace

void RegisterSqs(pipeline::Registry& registry) {
  registry.Add(DeclareIngestor(), pipeline::Registry::Maker<pipeline::Ingestor>(MakeIngestor));
  registry.Add(DeclareWriter(), pipeline::Registry::Maker<pipeline::IngestionWriter>(MakeWriter));
}

}  // namespace sluice::connectors
