"""What of calls and texts is shown with real peers, and by which scenarios: those of this folder, and tests of the soft UE (tests/ue).

A scenario here runs over UDP and TCP, IPv4 and IPv6 (registry.py); what a test of the soft UE runs over, its table of ways says. The core's
own tests (src/ims/call/tests) and the simulator (tests/sim) are not listed.
"""

import pathlib
import re

UE_TESTS = pathlib.Path(__file__).parent.parent

COVERAGE = {
    "who calls and who was called: P-Asserted-Identity as sip and tel, P-Preferred-Identity, P-Called-Party-ID for all and for an identity, names": [
        "caller_and_callee_are_asserted_in_both_forms", "a_number_that_the_caller_prefers_is_asserted", "an_identity_that_is_somebody_elses_is_not_asserted",
        "an_identity_is_shown_with_all_that_it_wears", "who_was_called_is_told_and_user_agents_pass",
        "a_caller_is_shown_with_its_name_and_how_far_its_number_is_trusted"],
    "privacy, and what stays with the network": [
        "privacy_id_hides_the_asserted_identity", "privacy_user_hides_from_too", "a_caller_with_an_anonymous_identity_is_told_nowhere",
        "call_of_somebody_who_wants_to_be_unknown", "where_a_phone_is_and_what_it_costs_stays_with_the_network", "nothing_of_the_other_leg_is_seen"],
    "History-Info and Diversion": ["history_and_diversion_pass", "history_is_hidden_from_the_callee_where_the_caller_wants_it"],
    "P-Early-Media, early_media, use183": [
        "early_media_is_announced_in_both_directions", "early_media_is_not_announced_where_an_identity_takes_none", "identity_whose_183_is_kept_back"],
    "Accept-Contact and Reject-Contact": ["the_phone_with_the_feature_rings_where_it_is_demanded", "the_phone_without_the_feature_rings_where_that_is_demanded"],
    "custom_headers, user_agent, force_user_agent": ["custom_headers_go_into_what_they_are_for", "who_was_called_is_told_and_user_agents_pass"],
    "unknown headers and bodies of several parts": ["unknown_headers_and_a_body_of_several_parts_survive", "emergency_call_with_location_to_a_user"],
    "set-up and end, refusals, authentication of requests": [
        "call_caller_hangs_up", "call_callee_hangs_up", "call_of_aka_users", "call_cancelled", "call_busy", "call_declined", "call_not_answered",
        "call_to_a_phone_that_is_not_registered", "call_to_a_phone_that_has_unregistered", "call_to_an_unknown_number",
        "call_with_every_request_authenticated", "call_between_transports", "calls_end_when_the_server_ends", "two_phones_talk_without_loss",
        "who_is_in_a_call_is_busy", "a_rejected_call_says_why", "a_caller_may_give_up"],
    "reliable answers, PRACK, UPDATE, INFO; where one phone lacks them": [
        "call_with_prack_update_and_info", "call_with_100rel_of_the_caller_alone", "call_with_100rel_of_the_callee_alone"],
    "forking": ["call_to_two_phones_of_one_user"],
    "preconditions, with both phones, with one, with the echo and with calls of the network": [
        "call_with_preconditions", "phones_wait_for_their_resources_over_each_transport", "across_families_resources_are_waited_for_as_well",
        "the_echo_waits_for_the_resources_of_a_phone", "a_volte_phone_waits_for_its_resources_before_it_rings"],
    "session timers: 422, refresh of both sides": [
        "call_with_a_session_timer", "each_phone_has_a_session_timer_of_its_own", "the_server_refreshes_a_phone_and_a_phone_the_server"],
    "dialog_timeout: no answer, no media and no signalling": [
        "call_not_answered", "echo_call_ends_in_silence", "call_through_the_server_ends_in_silence", "a_call_in_which_nobody_speaks_ends",
        "a_call_through_the_program_lasts_as_long_as_somebody_speaks"],
    "hold and resume, by either side and by the network": [
        "call_with_hold_and_resume", "baresip_holds_baresip", "a_call_is_held_and_goes_on", "the_callee_may_hold_and_hang_up_too",
        "the_network_holds_resumes_and_ends_its_call_and_an_echo_call", "network_calls_a_phone_holds_and_resumes"],
    "video, added and taken away; text; kinds of media that an identity does not take": [
        "call_with_video_added_and_taken_away", "two_phones_see_each_other", "the_echo_sends_pictures_back", "identity_that_takes_sound_alone",
        "media_of_one_ip_version_go_from_phone_to_phone", "media_between_ip_versions_pass_through_the_server", "echo_returns_all_media"],
    "offers that meet (491), without an offer": ["offers_that_meet_are_refused_and_made_again", "call_without_an_offer"],
    "UPDATE, INFO, OPTIONS, MESSAGE, REFER and NOTIFY inside a call, passed and refused": [
        "requests_inside_a_call_pass_in_both_directions", "transfer_that_the_callee_does_not_want", "info_that_the_callee_does_not_know",
        "update_that_the_callee_cannot_take", "requests_inside_an_echo_call"],
    "CANCEL that crosses the answer, requests in a call that is over": [
        "cancel_that_crosses_the_answer", "cancel_after_the_answer", "requests_in_a_call_that_is_over"],
    "media through the server: IPv4 and IPv6, RTP and RTCP, media_relay, rtp, rtcp": [
        "call_between_ip_versions", "media_between_ip_versions_pass_through_the_server", "a_phone_on_ipv4_and_one_on_ipv6_hear_and_see_each_other",
        "phones_of_one_family_are_relayed_where_the_configuration_says_so", "what_a_user_s_settings_do_to_packets_is_heard_by_the_other"],
    "the echo: media, answer_delay, media_delay, code, content, anonymous, ring_only, remote_control, sdp_file": [
        "echo_returns_all_media", "echo_call_ended_by_the_monitor", "an_echo_comes_back_bit_by_bit", "an_answer_is_delayed_and_comes_back_whole",
        "packets_are_kept_for_as_long_as_is_configured", "a_code_and_a_body_of_ones_own_are_heard", "who_has_not_registered_is_let_in_where_it_may_be",
        "what_only_rings_rings_until_the_caller_gives_up_or_its_time_is_over", "the_operator_answers_an_echo_number_and_a_file_says_with_what"],
    "DTMF": ["keys_come_back_and_reach_the_other_phone"],
    "calls that the network makes": [
        "network_calls_a_phone_holds_and_resumes", "mt_call_rings_a_phone_over_each_transport_and_its_sound_comes_back",
        "the_operator_answers_an_echo_number_and_a_file_says_with_what"],
    "ring_only, multi_sim": ["identity_that_only_rings", "phones_with_copies_of_one_sim_are_told_apart_by_their_imei"],
    "emergency calls: without registration and with one, to the echo and to a user, location, 380, callback": [
        "emergency_call_of_a_phone_that_has_not_registered", "emergency_call_with_location_to_a_user", "emergency_number_dialled_as_any_other",
        "without_registration_the_echo_answers_over_each_transport", "who_dials_112_is_told_to_register_for_emergency_calls_and_gets_through",
        "who_answers_hears_where_the_caller_is_and_calls_back_a_phone_without_registration",
        "an_emergency_registration_beside_the_normal_one_takes_the_callback_alone"],
    "numbers as phones dial them": ["call_by_tel_uri", "call_by_sip_uri_of_a_phone", "call_by_local_number"],
    "the trunk, in both directions": [
        "trunk_call_out_caller_hangs_up", "trunk_call_out_pbx_hangs_up", "trunk_call_out_with_hold_and_resume", "trunk_call_out_cancelled",
        "trunk_call_out_busy", "trunk_call_out_with_100rel_and_update", "trunk_that_asks_for_a_password", "trunk_that_is_not_there",
        "trunk_call_in_pbx_hangs_up", "trunk_call_in_callee_hangs_up", "trunk_call_in_to_an_unknown_number", "trunk_pings_are_answered"],
    "what the monitor shows: states, counters, the ladder": [
        "the_monitor_draws_a_call_as_a_ladder", "the_monitor_shows_where_the_packets_of_an_echo_call_go", "echo_returns_all_media"],
    "short messages: submitted, delivered and reported on, refused, kept for who is away or has no room; plain texts to and from soft clients": [
        "text_is_submitted_delivered_and_reported", "text_to_nobody_is_refused", "text_waits_for_a_phone_that_is_away",
        "text_comes_again_when_the_phone_has_room", "plain_text_reaches_a_sim_user_as_short_message",
        "short_message_reaches_a_soft_client_as_plain_text", "sim_users_write_to_each_other"],
    "a client of other authors, with real sound in both directions": [
        "baresip_calls_the_echo", "baresip_calls_baresip", "baresip_calls_a_sim_user", "sim_user_calls_baresip",
        "baresip_calls_a_sim_user_of_the_other_ip_version"],
}


def missing(scenarios):
    """The names in the table that are neither a scenario nor a test of the soft UE."""
    there = {scenario.name for scenario in scenarios}
    for file in [UE_TESTS / "ue.rs", *(UE_TESTS / "ue").glob("*.rs")]:
        there |= set(re.findall(r"#\[test\]\s+fn (\w+)\(", file.read_text()))
    return sorted({name for names in COVERAGE.values() for name in names} - there)
