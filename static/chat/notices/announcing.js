/** What is told besides the messages themselves: notifications and what they say, the strips that go
 * with them, and what a screen reader hears. */

import { avatarPicture } from "../parts/avatar.js";
import { setText } from "../parts/dom.js";
import { displayName } from "../parts/format.js";
import { previewText } from "../parts/media_format.js";
import { AlertSettings } from "./alert_settings.js";
import { DigestLine, NotificationBanner } from "./list_notices.js";

export class Announcing {
  #host;
  #liveRegion;
  #notificationBanner;
  #digestLine;
  #alertSettings;

  /** `root`: the document; `state`: the PageState; `unread`: what startUnread gave; `toast`. */
  constructor(root, { state, unread, toast }) {
    this.#host = { state, unread, toast };
    this.#liveRegion = root.querySelector(".live-region");
    this.#notificationBanner = new NotificationBanner(root.querySelector(".notification-banner"), {
      onAccept: () => unread.alerts.askPermission(),
      onDismiss: () => unread.alerts.setWanted("notifications", false),
    });
    this.#digestLine = new DigestLine(root.querySelector(".digest-line"));
    this.#alertSettings = new AlertSettings(root.querySelector("#user-menu"), unread.alerts);
    root.addEventListener("unread:digest", (event) => {
      event.preventDefault();
      this.#digestLine.show(event.detail.text);
    });
    root.addEventListener("unread:notify", ({ detail }) => this.#fillIn(detail));
  }

  /** With each drawing. */
  render() {
    const { unread } = this.#host;
    unread.alerts.closeSettled();
    if (unread.totals().conversations === 0) this.#digestLine.hide();
    this.#notificationBanner.render(unread.alerts.asks);
    this.#alertSettings.render();
  }

  /** A message has come in just now; the open conversation's are said aloud. */
  arrived(id, message) {
    const { state } = this.#host;
    if (state.resolve(id) !== state.selectedId) return;
    setText(this.#liveRegion, `${displayName(state.conversation(state.selectedId))}: ${previewText(message)}`);
  }

  /** A conversation is no more: it may be the one that was told of last. */
  erased() {
    setText(this.#liveRegion, "");
    this.#host.toast.hide();
  }

  /** Claude has handed a conversation over: told of whatever is muted, unless somebody looks at it. */
  needed(conversation) {
    const { state, unread, toast } = this.#host;
    const { id } = conversation;
    const isSettled = () => !state.conversation(id)?.needs_you
      || (document.hasFocus() && state.resolve(id) === state.selectedId);
    const title = `A conversa com ${displayName(conversation)} precisa de você`;
    unread.alerts.announce(id, isSettled, () => ({
      title,
      body: conversation.needs_you_reason ?? "",
      icon: avatarPicture(conversation),
    }), `${id} ${conversation.needs_you_at}`);
    if (document.hidden || isSettled()) return;
    toast.show(title, { label: "Abrir", run: () => unread.select(state.resolve(id)) });
  }

  /** What a notification says of a message. */
  #fillIn({ event, words }) {
    const { conversation_id: id, data: { message, conversation } } = event;
    const about = this.#host.state.conversation(id) ?? conversation;
    const text = previewText(message);
    const body = about.is_group && message.author?.name ? `${message.author.name}: ${text}` : text;
    Object.assign(words, { title: displayName(about), body, icon: avatarPicture(about) });
  }
}
