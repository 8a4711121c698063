#include "sql/session.h"

#include <arrow/api.h>

#include "base/names.h"
#include "columnar/arrow_status.h"
#include "sql/engine_error.h"
#include "sql/names.h"
#include "sql/scalar_functions.h"

namespace sluice::sql {
namespace {

constexpr int64_t kResultRows = int64_t{64} << 10;
constexpr int64_t kResultBytes = int64_t{256} << 20;  // offsets of text have 32 bits

// Streams a running query. Holds what the engine's vectors may point into.
class StreamedResult final : public QueryResult {
 public:
  StreamedResult(const Prepared& prepared, Watchdog& watchdog, uint64_t number, ErrorCode data_code)
      : shape_(prepared.shape),
        source_(prepared.source),
        tables_(prepared.tables),
        watchdog_(watchdog),
        number_(number),
        data_code_(data_code) {}
  ~StreamedResult() override { Finish(); }

  duckdb_result* raw() { return result_.get(); }
  void Begin() { options_ = ArrowOptions(duckdb_result_get_arrow_options(result_.get())); }

  std::shared_ptr<arrow::Schema> schema() const override { return shape_.schema(); }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
    int64_t rows = 0;
    int64_t bytes = 0;
    while (!done_ && rows < kResultRows && bytes < kResultBytes) {
      ASSIGN_OR_RETURN(auto part, Fetch());
      if (part == nullptr) break;
      if (part->num_rows() == 0) continue;
      rows += part->num_rows();
      for (const auto& column : part->columns()) {
        for (const auto& buffer : column->data()->buffers) bytes += buffer == nullptr ? 0 : buffer->size();
      }
      parts.push_back(std::move(part));
    }
    if (parts.empty()) return std::shared_ptr<arrow::RecordBatch>();
    if (parts.size() == 1) return parts.front();
    return columnar::ToResult(arrow::ConcatenateRecordBatches(parts));
  }

 private:
  Result<std::shared_ptr<arrow::RecordBatch>> Fetch() {
    if (Status status = watchdog_.Check(number_); !status.ok()) return Fail(status.error());
    Chunk chunk(duckdb_fetch_chunk(*result_.get()));
    if (!chunk) {
      const char* message = duckdb_result_error(result_.get());
      if (message != nullptr && *message != '\0') {
        if (Status status = watchdog_.Check(number_); !status.ok()) return Fail(status.error());
        return Fail(FromEngineMessage(message, data_code_, source_));
      }
      Finish();
      return std::shared_ptr<arrow::RecordBatch>();
    }
    auto batch = shape_.Convert(options_.get(), chunk.get(), data_code_);
    if (!batch.ok()) return Fail(batch.error());
    return batch;
  }

  Error Fail(const Error& error) {
    Finish();
    return error;
  }

  void Finish() {
    if (done_) return;
    done_ = true;
    watchdog_.Disarm(number_);
  }

  ResultShape shape_;
  std::string source_;
  std::vector<std::shared_ptr<ScanTable>> tables_;
  Watchdog& watchdog_;
  uint64_t number_;
  ErrorCode data_code_;
  ResultHandle result_;
  ArrowOptions options_;
  bool done_ = false;
};

Status Set(duckdb_config config, const char* name, const std::string& value) {
  if (duckdb_set_config(config, name, value.c_str()) == DuckDBSuccess) return {};
  return Internal("the SQL engine refuses the setting {} = '{}'", name, value);
}

}  // namespace

Session::~Session() {
  watchdog_.reset();
  call_text_.Reset();
  connection_.Reset();
  converter_.Reset();
  database_.Reset();
}

Result<std::unique_ptr<Session>> Session::Open(const SessionOptions& options) {
  if (options.limits.memory_bytes < (int64_t{1} << 20) || options.limits.threads < 1 ||
      options.limits.time_ms < 0) {
    return InvalidArgument(
        "limits of a query must be at least 1 MiB of memory and 1 thread, not {} bytes and {}",
        options.limits.memory_bytes, options.limits.threads);
  }
  RETURN_IF_ERROR(LoadDuckDb());
  Config config;
  if (duckdb_create_config(config.out()) != DuckDBSuccess)
    return Internal("the SQL engine gives no configuration");
  RETURN_IF_ERROR(Set(config.get(), "memory_limit", fmt::format("{}KiB", options.limits.memory_bytes >> 10)));
  RETURN_IF_ERROR(Set(config.get(), "threads", std::to_string(options.limits.threads)));
  RETURN_IF_ERROR(Set(config.get(), "temp_directory", options.limits.spill_folder));
  RETURN_IF_ERROR(Set(config.get(), "autoinstall_known_extensions", "false"));
  RETURN_IF_ERROR(Set(config.get(), "autoload_known_extensions", "false"));
  RETURN_IF_ERROR(Set(config.get(), "allow_community_extensions", "false"));
  RETURN_IF_ERROR(Set(config.get(), "preserve_insertion_order", "true"));
  std::unique_ptr<Session> session(new Session());
  session->limits_ = options.limits;
  char* message = nullptr;
  if (duckdb_open_ext(nullptr, session->database_.out(), config.get(), &message) != DuckDBSuccess) {
    Error error = FromEngineMessage(message == nullptr ? "" : message, ErrorCode::kInvalidArgument);
    duckdb_free(message);
    return error;
  }
  if (duckdb_connect(session->database_.get(), session->converter_.out()) != DuckDBSuccess ||
      duckdb_connect(session->database_.get(), session->connection_.out()) != DuckDBSuccess) {
    return Internal("the SQL engine gives no connection");
  }
  session->watchdog_ = std::make_unique<Watchdog>(session->connection_.get());
  RETURN_IF_ERROR(session->Configure(options));
  return session;
}

Status Session::Configure(const SessionOptions& options) {
  RETURN_IF_ERROR(registry_.Register(converter_.get()));
  RETURN_IF_ERROR(RegisterGeometryFunctions(converter_.get()));
  RETURN_IF_ERROR(RegisterEthFunctions(converter_.get()));
  RETURN_IF_ERROR(Execute("SET GLOBAL TimeZone = 'UTC'"));
  RETURN_IF_ERROR(
      Execute(fmt::format("SET GLOBAL integer_division = {}", options.truncate_integer_division)));
  for (const std::string& statement : options.setup) RETURN_IF_ERROR(Execute(statement));
  if (!options.fenced) return {};
  if (!options.allowed_paths.empty()) {
    std::vector<std::string> quoted;
    for (const std::string& path : options.allowed_paths) quoted.push_back(QuoteText(path));
    RETURN_IF_ERROR(Execute(fmt::format("SET GLOBAL allowed_paths = [{}]", JoinNames(quoted))));
  }
  RETURN_IF_ERROR(Execute("SET GLOBAL enable_external_access = false"));
  return Execute("SET GLOBAL lock_configuration = true");
}

Status Session::Execute(const std::string& statement) {
  ResultHandle result;
  if (duckdb_query(connection_.get(), statement.c_str(), result.get()) == DuckDBSuccess) return {};
  return FromEngineMessage(duckdb_result_error(result.get()), ErrorCode::kInvalidArgument);
}

Result<std::string> Session::CallText(const char* function, const std::string& text) {
  if (call_text_function_ != function) {
    std::string statement = fmt::format("SELECT CAST({}(CAST($1 AS VARCHAR)) AS VARCHAR)", function);
    if (duckdb_prepare(connection_.get(), statement.c_str(), call_text_.out()) != DuckDBSuccess) {
      return FromEngineMessage(duckdb_prepare_error(call_text_.get()), ErrorCode::kInvalidArgument);
    }
    call_text_function_ = function;
  }
  duckdb_clear_bindings(call_text_.get());
  if (duckdb_bind_varchar_length(call_text_.get(), 1, text.data(), text.size()) != DuckDBSuccess) {
    return InvalidArgument("the statement is not valid UTF-8");
  }
  ResultHandle result;
  if (duckdb_execute_prepared(call_text_.get(), result.get()) != DuckDBSuccess) {
    return FromEngineMessage(duckdb_result_error(result.get()), ErrorCode::kInvalidArgument, text);
  }
  Chunk chunk(duckdb_fetch_chunk(*result.get()));
  if (!chunk || duckdb_data_chunk_get_size(chunk.get()) != 1) return Internal("no answer from {}", function);
  duckdb_vector vector = duckdb_data_chunk_get_vector(chunk.get(), 0);
  if (uint64_t* validity = duckdb_vector_get_validity(vector);
      validity != nullptr && !duckdb_validity_row_is_valid(validity, 0)) {
    return Internal("no answer from {}", function);
  }
  auto* value = static_cast<duckdb_string_t*>(duckdb_vector_get_data(vector));
  return std::string(duckdb_string_t_data(value), duckdb_string_t_length(*value));
}

Status Session::AddTable(const std::string& name, std::shared_ptr<ScanTable> table) {
  ASSIGN_OR_RETURN(std::string from, AddHidden(std::move(table)));
  return AddView(name, "SELECT * FROM " + from);
}

Result<std::string> Session::AddHidden(std::shared_ptr<ScanTable> table) {
  RETURN_IF_ERROR(CheckScannable(*table->schema));
  tables_.push_back(table);
  return fmt::format("__sl_scan({})", registry_.Add(std::move(table)));
}

Result<std::vector<std::string>> Session::ColumnNames(const std::string& select) {
  PreparedHandle prepared;
  if (duckdb_prepare(connection_.get(), select.c_str(), prepared.out()) != DuckDBSuccess) {
    return FromEngineMessage(duckdb_prepare_error(prepared.get()), ErrorCode::kInvalidArgument);
  }
  std::vector<std::string> names;
  for (idx_t i = 0; i < duckdb_prepared_statement_column_count(prepared.get()); ++i) {
    const char* name = duckdb_prepared_statement_column_name(prepared.get(), i);
    names.emplace_back(name);
    duckdb_free(const_cast<char*>(name));
  }
  return names;
}

Status Session::AddView(const std::string& name, const std::string& select) {
  return Execute(fmt::format("CREATE OR REPLACE TEMP VIEW {} AS {}", QuoteName(EncodeName(name)), select));
}

Result<Prepared> Session::Prepare(const std::string& select, std::string source, ErrorCode data_code) {
  Prepared prepared;
  uint64_t number = watchdog_->Arm(std::chrono::milliseconds(limits_.time_ms), {});
  duckdb_state state = duckdb_prepare(connection_.get(), select.c_str(), prepared.handle.out());
  Status in_time = watchdog_->Check(number);
  watchdog_->Disarm(number);
  if (state != DuckDBSuccess) {
    RETURN_IF_ERROR(in_time);
    const char* message = duckdb_prepare_error(prepared.handle.get());
    return FromEngineMessage(message == nullptr ? "" : message, data_code, source);
  }
  if (duckdb_prepared_statement_type(prepared.handle.get()) != DUCKDB_STATEMENT_TYPE_SELECT) {
    return InvalidArgument("the statement is not a SELECT");
  }
  if (duckdb_nparams(prepared.handle.get()) > 0) {
    return InvalidArgument("the statement has parameters, which have no values here");
  }
  ASSIGN_OR_RETURN(prepared.shape, ResultShape::Make(connection_.get(), prepared.handle.get()));
  prepared.source = std::move(source);
  prepared.tables = tables_;
  return prepared;
}

Result<std::unique_ptr<QueryResult>> Session::Start(const Prepared& prepared, const std::stop_token& stop,
                                                    ErrorCode data_code) {
  if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  uint64_t number = watchdog_->Arm(std::chrono::milliseconds(limits_.time_ms), stop);
  auto result = std::make_unique<StreamedResult>(prepared, *watchdog_, number, data_code);
  auto fail = [&](const char* message) -> Error {
    Status status = watchdog_->Check(number);
    watchdog_->Disarm(number);
    if (!status.ok()) return status.error();
    return FromEngineMessage(message == nullptr ? "" : message, data_code, prepared.source);
  };
  PendingHandle pending;
  if (duckdb_pending_prepared_streaming(prepared.handle.get(), pending.out()) != DuckDBSuccess) {
    return fail(duckdb_pending_error(pending.get()));
  }
  if (duckdb_execute_pending(pending.get(), result->raw()) != DuckDBSuccess) {
    const char* message = duckdb_result_error(result->raw());
    return fail(message != nullptr ? message : duckdb_pending_error(pending.get()));
  }
  result->Begin();
  return std::unique_ptr<QueryResult>(std::move(result));
}

}  // namespace sluice::sql
