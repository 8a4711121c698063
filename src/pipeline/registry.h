#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pipeline/connector.h"
#include "pipeline/declaration.h"

namespace sluice::pipeline {

class Settings;     // pipeline/settings.h
class Environment;  // pipeline/environment.h

// Every connector there is. An ordinary object, filled in `app`, read only afterwards. Thread-safe then.
class Registry {
 public:
  // What makes a connector: checks what the declaration cannot say, connects to nothing. `environment`
  // outlives what is made.
  template <class T>
  using Maker = std::function<Result<std::unique_ptr<T>>(const Settings& settings, Environment& environment)>;

  void Add(Declaration declaration, Maker<Ingestor> make);
  void Add(Declaration declaration, Maker<Processor> make);
  void Add(Declaration declaration, Maker<IngestionWriter> make);
  // Listed, but not built: making it is kUnsupported with `reason`.
  void AddUnavailable(Declaration declaration, std::string reason);

  // In the order of kind and type.
  std::vector<const Declaration*> declarations() const;
  // Errors: kNotFound with near names.
  Result<const Declaration*> Find(ConnectorKind kind, std::string_view type) const;
  Result<std::unique_ptr<Ingestor>> MakeIngestor(const Settings& settings, Environment& environment) const;
  Result<std::unique_ptr<Processor>> MakeProcessor(const Settings& settings, Environment& environment) const;
  Result<std::unique_ptr<IngestionWriter>> MakeWriter(const Settings& settings,
                                                      Environment& environment) const;

 private:
  struct Entry {
    Declaration declaration;
    std::string unavailable;  // why
    Maker<Ingestor> ingestor;
    Maker<Processor> processor;
    Maker<IngestionWriter> writer;
  };
  std::map<std::pair<ConnectorKind, std::string>, Entry, std::less<>> entries_;
};

}  // namespace sluice::pipeline
