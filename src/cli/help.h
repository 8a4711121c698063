#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

namespace sluice::cli {

// How `--help` shows options: what a value is (`FILE`, `N`, `{fail,skip}`) instead of how it is stored.
std::shared_ptr<CLI::Formatter> MakeHelpFormatter();

// The lines for a command line that does not parse: what is wrong, the nearest command or option, where to
// look.
std::string ExplainUsageError(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv);

}  // namespace sluice::cli
