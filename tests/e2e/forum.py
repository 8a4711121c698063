"""A forum under test: answers as Discourse gives them, its limits of requests included."""
import bisect
import http.server
import json
import ssl
import sys
import threading
import time
import urllib.parse

PAGE = 50
TOPIC_PAGE = 30


class Forum:
    """Posts and topics with numbers that have gaps. `limit` requests in `window` seconds; one more is answered 429.
    `certificate` = files of a certificate and its key, for HTTPS."""

    def __init__(self, posts=0, key=None, limit=None, window=1.0, certificate=None):
        self.posts, self.keys, self.topics, self.requests, self.early = [], [], [], [], 0
        self.key, self.limit, self.window = key, limit, window
        self.answer = None  # called with path and query, in place of the forum's own answer
        self.held_until = 0.0
        self.recent = []
        self.lock = threading.Lock()
        self.add(posts)
        forum = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # noqa: N802
                status, headers, body = forum.handle(self.path, self.headers)
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                if not isinstance(sys.exc_info()[1], OSError):  # else the client was killed
                    super().handle_error(request, client_address)

        self.server = Server(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def add(self, count, age=3600):
        """Posts of an hour ago; every third number is a post that not everybody may see, and is not there."""
        with self.lock:
            for _ in range(count):
                number = (self.keys[-1] if self.keys else 0) + 1
                number += 1 if number % 3 == 0 else 0
                self.keys.append(number)
                self.posts.append(post(number, time.time() - age))

    def add_topics(self, count):
        with self.lock:
            for _ in range(count):
                self.topics.append(topic(len(self.topics) + 1, time.time() - 3600))

    def numbers(self):
        with self.lock:
            return list(self.keys)

    def handle(self, path, headers):
        url = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(url.query))
        with self.lock:
            self.requests.append(path)
            now = time.monotonic()
            if self.limit:
                self.early += now < self.held_until - 0.02
                self.recent = [at for at in self.recent if at > now - self.window]
                if len(self.recent) >= self.limit:
                    self.held_until = now + 1
                    return 429, {"Retry-After": "1", "Discourse-Rate-Limit-Error-Code": "ip_10_secs_limit"}, {
                        "errors": ["You\u2019ve performed this action too many times. Please wait 1 second before trying again."],
                        "error_type": "rate_limit", "extras": {"wait_seconds": 1, "time_left": "1 second"}}
                self.recent.append(now)
            if self.key and (headers.get("Api-Key"), headers.get("Api-Username")) != (self.key, "system"):
                return 403, {}, {"errors": ["You are not permitted to view the requested resource. The API username or key is invalid."],
                                 "error_type": "invalid_access"}
            if self.answer:
                answered = self.answer(url.path, query)
                if answered is not None:
                    return answered
            if url.path == "/posts.json":
                before = int(query.get("before", "0"))
                end = bisect.bisect_left(self.keys, before) if before > 0 else len(self.posts)
                page = self.posts[max(0, end - PAGE):end][::-1]
                return 200, {}, {"latest_posts": page}
            if url.path == "/latest.json":
                at = int(query.get("page", "0"))
                assert query.get("order") == "created", query
                page = list(reversed(self.topics))[at * TOPIC_PAGE:(at + 1) * TOPIC_PAGE]
                body = {"users": [], "primary_groups": [], "flair_groups": [],
                        "topic_list": {"can_create_topic": False, "per_page": TOPIC_PAGE, "top_tags": [], "topics": page}}
                if (at + 1) * TOPIC_PAGE < len(self.topics):
                    body["topic_list"]["more_topics_url"] = f"/latest?no_definitions=true&order=created&page={at + 1}"
                return 200, {}, body
            return 404, {}, {"errors": ["The requested URL or resource could not be found."], "error_type": "not_found"}


def moment(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".123Z"


def post(number, at):
    return {"id": number, "name": "Ada L.", "username": "ada", "avatar_template": "/user_avatar/forum.example/ada/{size}/1_2.png",
            "created_at": moment(at), "cooked": f"<p>Post <b>{number}</b> \u2013 hello</p>", "post_number": 1 + number % 9, "post_type": 1,
            "posts_count": 9, "updated_at": moment(at), "reply_count": 0, "reply_to_post_number": None, "quote_count": 0,
            "incoming_link_count": 0, "reads": 3, "readers_count": 2, "score": 5.6, "yours": False, "topic_id": number // 9,
            "topic_slug": f"topic-{number // 9}", "topic_title": f"Topic {number // 9}", "topic_html_title": f"Topic {number // 9}",
            "category_id": number % 4, "display_username": "Ada L.", "primary_group_name": None, "flair_name": None, "version": 1,
            "can_edit": False, "can_delete": False, "user_title": None, "raw": f"Post **{number}** \u2013 hello", "actions_summary": [],
            "moderator": False, "admin": False, "staff": False, "user_id": 7, "hidden": False, "trust_level": 2, "deleted_at": None,
            "user_deleted": False, "edit_reason": None, "can_view_edit_history": True, "wiki": False, "excerpt": f"Post {number}"}


def topic(number, at):
    return {"id": number, "title": f"Topic {number}", "fancy_title": f"Topic {number}", "slug": f"topic-{number}", "posts_count": 3,
            "reply_count": 1, "highest_post_number": 3, "image_url": None, "created_at": moment(at), "last_posted_at": moment(at + 5),
            "bumped": True, "bumped_at": moment(at + 5), "archetype": "regular", "unseen": False, "pinned": False, "unpinned": None,
            "visible": True, "closed": False, "archived": False, "bookmarked": None, "liked": None, "views": 12, "like_count": 1,
            "has_summary": False, "last_poster_username": "ada", "category_id": 4, "pinned_globally": False, "featured_link": None,
            "posters": [{"extras": "latest single", "description": "Original Poster, Most Recent Poster", "user_id": 7,
                         "primary_group_id": None, "flair_group_id": None}]}
