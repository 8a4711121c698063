#pragma once

#include <string>
#include <vector>

#include "pipeline/config.h"
#include "pipeline/declaration.h"

// What people read about connectors and pipelines, all from the declarations.
namespace sluice::pipeline {

std::string_view NameOf(ConnectorKind kind);  // `ingestor`
std::string_view NameOf(Tier tier);
std::string_view NameOf(Guarantee guarantee);  // `at least once`
std::string_view NameOf(OptionType type);      // `duration`

// For `connectors show`: plain text of at most 100 columns.
std::string DescribeAsText(const Declaration& declaration);
// A page of docs/connectors: everything of one type name.
std::string DescribeAsMarkdown(const std::string& type, const std::vector<const Declaration*>& declarations);
// The page that lists all of them, and the options of a pipeline itself.
std::string DescribeAllAsMarkdown(const std::vector<const Declaration*>& declarations);

// The way of a record through a pipeline, as text or as an SVG picture.
std::string DrawAsText(const PipelineConfig& config);
std::string DrawAsSvg(const PipelineConfig& config);

// A commented pipeline file that runs, from one ingestor to one writer. Errors: kNotFound with near names.
Result<std::string> DraftPipeline(const Registry& registry, const std::string& name, const std::string& from,
                                  const std::string& to);

}  // namespace sluice::pipeline
