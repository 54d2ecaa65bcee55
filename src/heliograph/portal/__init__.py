"""The front room: pages rendered on the server, one folder per page group, thin views.

How to add a page, in ten lines
    1. `portal/letters/__init__.py` with its docstring, and `portal/letters/views.py`:

        @get("/letters", opt={"rule": Rule.VIEWER})                     # every route names its rule (access.py)
        async def show_letters(visit: OnVisit) -> Answer:
            found = await letters.list_letters(visit.runtime, visit.account_id, read_cursor(visit.query))
            return visit.render("letters/list.html", page=found)         # values for the template

        ROUTES = (show_letters,)

    2. `portal/letters/list.html`: `{% extends "layout/app.html" %}`, blocks `title` and `main`; texts in `_("…")`.
    3. One line in the table of places.py, under its heading: `Place("letters", "/letters", N_("Letters"), "l"),`.
       The name is also the drawing in layout/marks.html. The navigation, the keys and the authorization matrix follow.

What a view has (visit.py, `Visit`)
    visit.runtime, .settings, .account_id, .known (session, user, account), .caller (base_url, address, …)
    visit.query["name"], (await visit.form())["name"]    texts; what is missing reads as ""
    visit.desk.acceptor, visit.desk.whatsapp             what the process shares
    visit.render("x/page.html", status=200, **values)    a page
    visit.part("x/row.html", **values)                   the HTML of a part, as text
    visit.go("/x", "It is done.")                        after a POST: lead to a GET, with a sentence for the next page
    visit.go("/x", Said("Cancelled.", "/x/1/undo"))      … with an Undo button that posts there
    visit.gettext("…"), visit.ngettext("…", "…", n)      texts; sentences of errors: `{{ sentence|translate }}`

Templates: macros of layout/parts.html (csrf, field, select, area, note, copy_line, copy_button, error_of, pager, empty)
    and of layout/marks.html (icon, mark, state, glyph). A form begins with `{{ csrf() }}`. Errors of a field come as
    `errors` (`Invalid.errors`); give the typed values back: `{{ field("name", _("Name"), values.name, errors=errors) }}`.
    Filters: number, percent, phone, uid, wa, translate, when, full_time, short_time, day, clock (all in the account's
    zone), near_time, day_name, after.

Lists: `read_cursor(visit.query)` and `cut_page(rows, cursor, key, limit)` of paging.py, `{{ pager(page) }}` below the table.

Live rows (live.py): a route that returns `watch(visit, look)`; `look` is asked every second (and when a topic of the
    store is announced) and returns `swap(html)`: elements that replace those with the same id, or `news("…")`: told to
    screen readers. The page names the route: `<tbody data-live="/letters/live?…">`.

Parts (static/portal.js): `<a data-part="list">` and `<form data-part="list">` fetch their address and replace the element
    with that id (several ids have spaces between; where that element has no room on the screen, the link is followed
    instead). The view answers with the whole page, or with the part alone where `visit.wants_part`. `data-part-on="input"`
    on a form asks while one types, at `data-part-from`. `<a data-dialog>` shows the `data-dialog-body` of the page behind the
    link as a dialog. Without script all of them are plain links and forms; `hidden data-with-script` needs it and is shown.

Nothing is inline: no `style`, no `<script>` without `src`, no `on…`, no address of another server.
"""
