// Access tokens of a node (decisions.md 19).
#include "auth/token_store.h"
#include "cli/commands.h"
#include "cli/rows.h"
#include "cli/usage.h"

namespace sluice::cli {
namespace {

struct TokenArgs {
  std::string account, expires, id, format;
  std::vector<std::string> scopes;
};

Result<std::unique_ptr<auth::TokenStore>> OpenStore(Session& session) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  return auth::TokenStore::Open(workspace->root());
}

// A lifetime, or the time at which the token ends.
Result<std::chrono::seconds> LifetimeOf(const Session& session, const std::string& text) {
  auto lifetime = auth::ParseLifetime(text);
  if (lifetime.ok()) return lifetime;
  const auto end = ParseInstant(text);
  if (!end.ok()) return UsageError("--expires takes 30d, 12h, 90m, 45s or an RFC 3339 time, not '{}'", text);
  const int64_t seconds = end->seconds - session.clock().Now().seconds;
  if (seconds <= 0) return UsageError("--expires '{}' is over already", text);
  return std::chrono::seconds(seconds);
}

Status Create(Session& session, const TokenArgs& args) {
  auth::TokenSpec spec{.account = args.account};
  for (const auto& text : args.scopes) {
    auto scope = auth::ParseScope(text);
    if (!scope.ok()) return std::move(scope).error().With("usage");
    spec.scopes.push_back(std::move(*scope));
  }
  if (!args.expires.empty()) {
    ASSIGN_OR_RETURN(spec.lifetime, LifetimeOf(session, args.expires));
  }
  ASSIGN_OR_RETURN(const auto store, OpenStore(session));
  ASSIGN_OR_RETURN(const auto token, store->Create(spec, session.clock()));
  session.Say("Token {} for account '{}'{}. It is shown this once:", token.info.id, token.info.account,
              token.info.expires ? ", good until " + FormatInstant(*token.info.expires) : "");
  return session.Out(token.text + "\n");
}

std::string JoinScopes(const std::vector<auth::Scope>& scopes) {
  std::string text;
  for (const auto& scope : scopes) text += (text.empty() ? "" : " ") + auth::ToString(scope);
  return text;
}

Status List(Session& session, const TokenArgs& args) {
  ASSIGN_OR_RETURN(auto format, session.FormatOrDefault(args.format));
  ASSIGN_OR_RETURN(const auto store, OpenStore(session));
  ASSIGN_OR_RETURN(const auto tokens, store->List());
  RowTable table;
  table.Text("Id").Text("Account").Text("Scopes").Time("Created").Time("Expires");
  for (const auto& token : tokens) {
    table.Add({token.id, token.account, JoinScopes(token.scopes), token.created,
               RowTable::TimeOrNull(token.expires)});
  }
  return table.Print(session, format);
}

Status Revoke(Session& session, const TokenArgs& args) {
  ASSIGN_OR_RETURN(const auto store, OpenStore(session));
  RETURN_IF_ERROR(store->Revoke(args.id));
  session.Say("Token {} is revoked; a running node knows within a second", args.id);
  return {};
}

}  // namespace

void AddToken(Commands& commands) {
  auto* parent = commands.Add("token", "Access tokens for a node's HTTP API",
                              "sluice token create --account kim --scope push:events", nullptr);
  parent->require_subcommand(1);
  auto args = std::make_shared<TokenArgs>();
  auto* create = commands.Add(
      "create", "Make a token and print it",
      "TOKEN=$(sluice token create --account kim --scope push:events/web --expires 30d)",
      [args](Session& session) { return Create(session, *args); }, parent);
  create->add_option("--account", args->account, "Whom it is for")->required();
  create
      ->add_option("--scope", args->scopes,
                   "What it allows: admin, read, push, push:DATASET, push:DATASET/SOURCE; may be repeated")
      ->required();
  create->add_option("--expires", args->expires,
                     "30d, 12h, 90m, 45s, or a time (default: when it is revoked)");
  auto* list = commands.Add(
      "list", "List tokens, without their secrets", "sluice token list",
      [args](Session& session) { return List(session, *args); }, parent);
  list->add_option("-o,--output-format", args->format,
                   "Output format (default: table on a terminal, else json)");
  commands
      .Add(
          "revoke", "End a token", "sluice token revoke d6hk2lPq0z",
          [args](Session& session) { return Revoke(session, *args); }, parent)
      ->add_option("id", args->id, "Its id, as 'token list' shows it")
      ->required();
}

}  // namespace sluice::cli
